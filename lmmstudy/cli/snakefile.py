"""Print the path of the workflow, for `snakemake -s "$(lmm snakefile)"` in a folder without one."""

from argparse import ArgumentParser, Namespace

from lmmstudy.history.codes import Exit
from lmmstudy.project import PROJECT


def add(parser: ArgumentParser) -> None:
    """No arguments."""


def main(given: Namespace) -> int:
    """Print it."""
    print(PROJECT / "Snakefile")
    return Exit.SAME
