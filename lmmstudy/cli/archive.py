"""Write the study to one file from which it can be run again.

It holds the project with its lock of package versions, the configuration, the raw files, the results, the
reports and the ledger. To run it again, unpack it, go to the folder `study` and say `make reports`.
"""

import sys
from argparse import ArgumentParser, Namespace

from lmmstudy.base.folders import folders_of
from lmmstudy.cli.options import add_config, add_force
from lmmstudy.run.codes import Exit


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("file", help="such as study.tar.gz")
    add_config(parser)
    add_force(parser)


def main(given: Namespace) -> int:
    """Write the archive, while no run is at work."""
    from lmmstudy.cli.targets import check_target  # start-up time
    from lmmstudy.config.study import study  # start-up time
    from lmmstudy.run.archive import archive, is_archive  # start-up time
    from lmmstudy.run.lock import Held, hold  # start-up time

    study({}, where=given.config)  # a folder that is no study is left as it is
    check_target(given.file, "The archive", is_archive, given.force)
    try:
        with hold(folders_of(given.config).runs / "lock", f"lmm archive {given.file}"):
            print(f"{archive(given.config, given.file)} files are in {given.file}.")
    except Held as other:
        print(f"Another run holds the lock: {other}. Nothing was done.", file=sys.stderr)
        return Exit.LOCKED
    return Exit.SAME
