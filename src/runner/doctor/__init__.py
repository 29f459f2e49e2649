"""Whether a call could be answered: what it needs, tried for real. It hosts nothing."""
