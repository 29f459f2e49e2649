"""What YAML's own complaints mean to a person who writes an agent file."""

_INDENT = "the indent does not fit the lines above"
_BLOCK = "after '|' or '>' the text begins in the next line"

#: The parser's words, the first character at the place (any, if empty), and what to do.
_MEANINGS = (
    ("cannot start any token", "\t", "a tab cannot indent; use spaces"),
    ("cannot start any token", "", "text that begins with '{first}' needs quotes"),
    ("mapping values are not allowed", "",
     "text with ': ' in it needs quotes, or the line is indented too far"),
    ("could not find expected ':'", "",
     "a line here is neither 'key: value' nor a list item; check its indent and its ':'"),
    ("expected <block end>", "", _INDENT),
    ("did not find expected key", "", _INDENT),
    ("did not find expected '-' indicator", "",
     "a list item must begin with '- ', below the items above"),
    ("did not find expected ',' or '}'", "",
     "this '{' is not closed by '}', or two entries are not separated by a comma"),
    ("did not find expected ',' or ']'", "",
     "this '[' is not closed by ']', or two items are not separated by a comma"),
    ("unexpected end of stream", "", "this quote is opened and never closed"),
    ("did not find expected node content", "",
     "a value that begins with '{' or '[' needs quotes, or a value is missing"),
    ("unknown escape character", "",
     "a '\\' in double quotes begins an escape; use single quotes, or write '\\\\'"),
    ("block scalar", "", _BLOCK),
    ("did not find expected comment or line break", "", _BLOCK),
    ("did not find expected <document start>", "",
     "the file must begin with 'key: value' lines; check the indent of the first ones"),
)  # fmt: skip


def explain(problem: str, rest: str) -> str:
    """Say in plain words what the parser's `problem` is; `rest` is the text from its place on."""
    for words, first, meaning in _MEANINGS:
        if words in problem and rest.startswith(first):
            return meaning.replace("{first}", rest[:1])
    return f"this is not YAML: {problem}"
