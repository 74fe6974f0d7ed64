"""`lmm verify`: the study once more, in an empty folder under other circumstances, compared file by file."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmmstudy.base.folders import folders_of
from lmmstudy.run.differences import Difference, differences
from lmmstudy.run.workflow import checked_copy, command

ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
"""Another time zone, another locale, another order of sets: results may not depend on them."""


@dataclass(frozen=True)
class Verified:
    """files : compared; unlike : a sentence for each that says something else; rounded : how many differ by
    rounding alone; farthest : the widest of their differences, with the name of its file."""

    files: int
    unlike: list[str]
    rounded: int
    farthest: tuple[Path, Difference] | None


def verify(config: str) -> Verified:
    """Run the study of `config` again on one core and compare with its results and reports in this folder.

    Raises ConfigError, and RuntimeError with Snakemake's last lines when the study cannot be run again.
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
        return _compared(made, here, folder)


def _compared(names: Sequence[Path], here: Path, there: Path) -> Verified:
    unlike, rounded = list[str](), list[tuple[Path, Difference]]()
    for name in names:
        if not (here / name).is_file():
            unlike.append(f"{name} is missing here; run `lmm run` first")
            continue
        found = differences(here / name, there / name)
        real = [one for one in found if not one.rounding]
        if real:
            unlike.append(_sentence(name, real))
        elif found:
            rounded.append((name, max(found, key=lambda one: one.size)))
    farthest = max(rounded, key=lambda one: one[1].size, default=None)
    return Verified(len(names), unlike, len(rounded), farthest)


def _sentence(name: Path, found: Sequence[Difference]) -> str:
    first = max(found, key=lambda one: one.size)
    size = "" if first.size == float("inf") else f" ({first.size:.2g} of it)"
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{name} differs: {first.where} is {first.old} here and {first.new} there{size}{more}"


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
