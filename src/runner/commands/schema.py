"""`runner schema`: print the JSON Schema of the agent file."""

import argparse

from runner.definition.schema import schema_text


def schema(_options: argparse.Namespace) -> int:
    """Print the schema as it ships."""
    print(schema_text(), end="")
    return 0
