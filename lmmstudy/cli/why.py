"""Say why a dataset would run again: which of data, config, engine and environment changed."""

import sys
from argparse import ArgumentParser, Namespace

from lmmstudy.base.folders import folders_of
from lmmstudy.cli.options import add_config


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("dataset")
    add_config(parser)


def main(given: Namespace) -> int:
    """Print one line a reason."""
    from lmmstudy.config.study import study  # start-up time
    from lmmstudy.run.why import reasons  # start-up time

    try:
        found = reasons(study({}, where=given.config), given.dataset, folders_of(given.config).results)
    except KeyError as error:
        print(f"lmm why: {error.args[0]}", file=sys.stderr)
        return 1
    for reason in found:
        print(reason)
    if not found:
        print(f"{given.dataset} is up to date: data, config, engine and environment are as they were.")
    return 0
