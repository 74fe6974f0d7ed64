"""Arguments that several commands share."""

from argparse import ArgumentParser

from lmmstudy.config.study import CONFIG


def add_force(parser: ArgumentParser) -> None:
    """`--force`."""
    parser.add_argument("--force", action="store_true", help="replace a file that is something else")


def add_config(parser: ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config", default=CONFIG, metavar="FILE", help=f"the study's configuration (default: {CONFIG})"
    )
