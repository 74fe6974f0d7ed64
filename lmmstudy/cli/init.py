"""Draft the stanza of a dataset from its raw file.

The draft goes to the terminal; put it under `datasets:` of the configuration and correct its guesses.
"""

import sys
from argparse import ArgumentParser, Namespace


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("file", help="the raw file")


def main(given: Namespace) -> int:
    """Print the draft."""
    from lmmstudy.clean.raw_bytes import Unusable  # start-up time
    from lmmstudy.config.draft import draft  # start-up time

    try:
        print(draft(given.file), end="")
    except Unusable as reason:
        print(f"No draft: {reason}.", file=sys.stderr)
        return 1
    return 0
