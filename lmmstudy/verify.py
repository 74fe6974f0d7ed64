"""`lmm verify`: the study once more, in an empty folder under other circumstances, compared byte by byte."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmmstudy.config import study
from lmmstudy.history.workflow import command

ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
"""Another time zone, another locale, another order of sets: results may not depend on them."""
DEPTH = 8
"""Folders around the temporary study, so that raw files at `../..` have a place too."""


def verify(config: str) -> tuple[int, list[str]]:
    """Run the study of `config` again on one core and compare with results/ and reports/ of this folder.

    Gives the number of files compared and a sentence for each that is not the same. Raises ConfigError, and
    RuntimeError with Snakemake's last lines when the study cannot be run again.
    """
    checked = study({}, where=config)
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="lmm-verify-") as root:
        folder = Path(root).joinpath(*"x" * DEPTH)
        _copy_inputs(checked, config, here, folder)
        allowed = [*checked["files"]["raw_folders"], str(here)]  # for a raw file named by its full path
        arguments = ("--cores", "1", "--directory", str(folder))
        done = subprocess.run(
            command(str(here / config), arguments, files={"raw_folders": allowed}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | ELSEWHERE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError("\n".join(done.stdout.splitlines()[-15:]))
        made = sorted(p.relative_to(folder) for top in ("results", "reports") for p in _files(folder / top))
        return len(made), [text for path in made if (text := _difference(here / path, folder / path, path))]


def _copy_inputs(config: Mapping[str, Any], name: str, here: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for dataset in config["datasets"].values():
        source, target = here / dataset["path"], folder / dataset["path"]
        if source.is_file() and not Path(dataset["path"]).is_absolute():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _files(folder: Path) -> list[Path]:
    """What a run made there, without the marks that Snakemake leaves in folders."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"]


def _difference(old: Path, new: Path, name: Path) -> str:
    if not old.is_file():
        return f"{name} is missing here; run `lmm run` first"
    if old.read_bytes() != new.read_bytes():
        return f"{name} differs"
    return ""
