"""Run the study again in a temporary folder and compare the results file by file.

On one core, in another time zone and locale. Ends with exit code 0 when all is equal, or equal but for
rounding, 40 when not.
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
        found = verify(given.config)
    except RuntimeError as error:
        print(f"The study could not be run again; Snakemake ends with:\n{error}", file=sys.stderr)
        return Exit.CRASH
    for sentence in found.unlike:
        print(sentence, file=sys.stderr)
    same = found.files - len(found.unlike) - found.rounded
    print(f"{same} of {found.files} files are byte for byte the same.")
    if found.farthest:
        name, widest = found.farthest
        print(
            f"{found.rounded} differ by rounding alone, at most by {widest.size:.2g} of a number: "
            f"{widest.where} of {name} is {widest.old} here and {widest.new} there."
        )
    return Exit.UNEXPLAINED if found.unlike else Exit.SAME
