"""List every problem of the configuration and the raw files at once.

Ends with exit code 0 when there is none, else with 30. What can be analysed and is hardly what was meant,
such as a subject with two levels, is said too, and is no problem."""

import sys
from argparse import ArgumentParser, Namespace

from lmmstudy.cli.options import add_config
from lmmstudy.run.codes import Exit


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    add_config(parser)


def main(given: Namespace) -> int:
    """Check the configuration and print what is wrong."""
    from lmmstudy.config.check import look  # start-up time

    problems, doubts = look(given.config)
    for problem in problems:
        print(problem, file=sys.stderr)
    for doubt in doubts:
        print(f"Please look again: {doubt}?", file=sys.stderr)
    if problems:
        return Exit.CONFIG
    print(f"{given.config} and its raw files are in order.")
    return Exit.SAME
