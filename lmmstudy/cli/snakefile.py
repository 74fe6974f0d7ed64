"""Print the path of the workflow, for `snakemake -s "$(lmm snakefile)"` in a folder without one."""

from argparse import ArgumentParser, Namespace

from lmmstudy.base.project import PROJECT
from lmmstudy.run.codes import Exit


def add(parser: ArgumentParser) -> None:
    """No arguments."""


def main(given: Namespace) -> int:
    """Print it."""
    print(PROJECT / "Snakefile")
    return Exit.SAME
