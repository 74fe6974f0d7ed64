"""`lmm verify`: the study once more, in an empty folder under other circumstances, compared byte by byte."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lmmstudy.base.folders import folders_of
from lmmstudy.run.workflow import checked_copy, command

ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
"""Another time zone, another locale, another order of sets: results may not depend on them."""


def verify(config: str) -> tuple[int, list[str]]:
    """Run the study of `config` again on one core and compare with its results and reports in this folder.

    Gives the number of files compared and a sentence for each that is not the same. Raises ConfigError, and
    RuntimeError with Snakemake's last lines when the study cannot be run again.
    """
    here, at = Path.cwd(), folders_of(config)
    with tempfile.TemporaryDirectory(prefix="lmm-verify-") as root:
        checked = checked_copy(config, Path(root, "config.yaml"))
        raw = [Path(dataset["path"]) for dataset in checked["datasets"].values()]
        # Raw files at `../..` have a place in it too.
        folder = Path(root).joinpath(*"x" * max(path.parts.count("..") for path in raw), "x")
        _link_inputs(raw, here, folder)
        allowed = [str(here), *(str(here / other) for other in checked["files"]["raw_folders"])]
        arguments = ("--cores", "1", "--directory", str(folder))
        done = subprocess.run(
            command(Path(root, "config.yaml"), at, arguments, files={"raw_folders": allowed}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | ELSEWHERE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError("\n".join(done.stdout.splitlines()[-15:]))
        tops = (at.results, at.reports)
        made = sorted(p.relative_to(folder) for top in tops for p in _files(folder / top))
        return len(made), [text for path in made if (text := _difference(here / path, folder / path, path))]


def _link_inputs(raw: Sequence[Path], here: Path, folder: Path) -> None:
    """Links to what stands at the raw files' paths: what cannot be read here cannot be read there."""
    folder.mkdir(parents=True)
    for path in raw:
        source, target = here / path, folder / path
        if not path.is_absolute() and os.path.exists(source) and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())


def _files(folder: Path) -> list[Path]:
    """What a run made there, without the marks that Snakemake leaves in folders."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"]


def _difference(old: Path, new: Path, name: Path) -> str:
    if not old.is_file():
        return f"{name} is missing here; run `lmm run` first"
    if old.read_bytes() != new.read_bytes():
        return f"{name} differs"
    return ""
