"""Run the study again in a temporary folder and compare the results byte by byte.

On one core, in another time zone and locale. Ends with exit code 0 when all is equal, 40 when not.
"""

import sys
from argparse import ArgumentParser, Namespace

from lmmstudy.cli.options import add_config
from lmmstudy.run.codes import Exit


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    add_config(parser)


def main(given: Namespace) -> int:
    """Verify and say what differs."""
    from lmmstudy.run.verify import verify  # start-up time

    try:
        compared, differences = verify(given.config)
    except RuntimeError as error:
        print(f"The study could not be run again; Snakemake ends with:\n{error}", file=sys.stderr)
        return Exit.CRASH
    for difference in differences:
        print(difference, file=sys.stderr)
    print(f"{compared - len(differences)} of {compared} files are byte for byte the same.")
    return Exit.UNEXPLAINED if differences else Exit.SAME
