"""`runner validate`: say what is wrong with agent files, where, and what was meant."""

import argparse
import gc
import os

from runner.definition.loader import load
from runner.definition.reporters import REPORTERS


def validate(options: argparse.Namespace) -> int:
    """Print every finding of every file; return 1 if any of them is an error.

    Raises:
        RunnerError: a path does not exist, or there is no agent file.
    """
    gc.disable()  # a short run leaves little garbage; looking for it costs a tenth of the time
    loaded = load(options.paths, workers=os.cpu_count() or 1)
    if report := REPORTERS[options.format](loaded):
        print(report)
    return 1 if loaded.has_errors else 0
