"""The command line `lmm`: one module a command, each with `add` (its arguments) and `main` (what it does)."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from lmmcore.errors import LmmError
from lmmstudy.cli import archive, check, fit, init, replay, run, snakefile, verify, why
from lmmstudy.config.file import ConfigError

COMMANDS = (check, init, fit, run, why, verify, replay, archive, snakefile)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="lmm", description="Linear mixed models for longitudinal studies.", allow_abbrev=False
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        summary = (module.__doc__ or "").splitlines()[0]
        name = module.__name__.rsplit(".", 1)[1]
        own = commands.add_parser(name, help=summary, description=module.__doc__, allow_abbrev=False)
        module.add(own)
        own.set_defaults(main=module.main)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. Mistakes of the user end in a sentence, not in a traceback."""
    given = parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # names that the terminal cannot show are no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(given.main(given))
    except (ConfigError, LmmError) as error:
        print(error, file=sys.stderr)
        return 30 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 1
