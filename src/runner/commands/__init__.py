"""One command a module: a function that takes the parsed options and returns an exit code."""
