"""Repeat a failed fit from the archive that it left beside its log."""

from argparse import ArgumentParser, Namespace


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("file", help="such as logs/DATASET/models/MODEL.replay.zip")


def main(given: Namespace) -> int:
    """Fit again and print; a failure prints its sentence, a defect its traceback."""
    from lmmstudy.fitting.replay import replay  # start-up time

    print(replay(given.file))
    return 0
