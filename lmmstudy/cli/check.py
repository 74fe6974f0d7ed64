"""List every problem of the configuration and the raw files at once.

Ends with exit code 0 when there is none, else with 30.
"""

import sys
from argparse import ArgumentParser, Namespace

from lmmstudy.cli.options import add_config
from lmmstudy.history.codes import Exit


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    add_config(parser)


def main(given: Namespace) -> int:
    """Check the configuration and print what is wrong."""
    from lmmstudy.check import check

    problems = check(given.config)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return Exit.CONFIG
    print(f"{given.config} and its raw files are in order.")
    return Exit.SAME
