"""Run the study, compare with the last good run, write the ledger runs/ledger.jsonl.

Arguments after -- go to Snakemake. Exit codes: 0 nothing moved, 10 estimates moved, 11 a conclusion
changed, 20 some datasets failed, 30 the configuration is invalid, 31 another run holds the lock, 40 numbers
moved though nothing changed, 1 the run broke off.
"""

from argparse import REMAINDER, ArgumentParser, Namespace

from lmmstudy.cli.options import add_config


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    add_config(parser)
    parser.add_argument("snakemake", nargs=REMAINDER, metavar="-- ...", help="arguments for Snakemake")


def main(given: Namespace) -> int:
    """One run."""
    from lmmstudy.run.execute import execute  # start-up time

    arguments = given.snakemake
    return execute(given.config, arguments[1:] if arguments[:1] == ["--"] else arguments)
