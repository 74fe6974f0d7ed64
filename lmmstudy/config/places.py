"""Where raw files may be: in the study's folder, or in folders that the configuration names, and never where
runs make and remove files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from lmmstudy.config.file import composed

GENERATED = ("results", "reports", "logs", "runs", "studies", ".snakemake")
"""Folders of a study that hold what runs make and remove."""


def generated(path: Path, folder: Path) -> str | None:
    """Which of the GENERATED folders of the study in `folder` holds `path`, links followed; None for none."""
    for name in GENERATED:
        if _inside(path.resolve(), [folder / name]):
            return name
    return None


def on_disk(path: str) -> str:
    """The path as the disk has it, where its names are there in other characters that are the same (NFD)."""
    place = Path(path)
    if path.isascii() or place.exists():
        return path
    found = Path(place.anchor)
    for part in place.parts[len(found.parts) :]:
        try:
            same = [name for name in os.listdir(found) if composed(name) == composed(part)]
        except (OSError, ValueError):
            return path
        if len(same) != 1 and part != "..":
            return path
        found = found / (part if part == ".." else same[0])
    return str(found)


def problems_of_paths(config: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """A sentence for each raw file of `config` that is outside `folder` and the folders allowed.

    Links are followed first: what counts is the file that would be read.
    """
    files = config.get("files")
    named = files.get("raw_folders") if isinstance(files, Mapping) else None
    allowed = [text for text in named if isinstance(text, str)] if isinstance(named, list) else []
    datasets = config.get("datasets")
    for name, dataset in datasets.items() if isinstance(datasets, Mapping) else ():
        path = dataset.get("path") if isinstance(dataset, Mapping) else None
        if not isinstance(path, str) or not path:
            continue
        where = f"datasets.{name}.path"
        if marks := sorted(set(path) & set("{}<>\n\r")):
            found = " ".join(repr(mark) for mark in marks)
            why = f"has characters that stand for something else here ({found})"
            yield f"{where}: {path!r} {why}: rename the file"
            continue
        try:
            target = (folder / path).resolve()
            inside = _inside(target, [folder, *(folder / text for text in allowed)])
            made = generated(folder / path, folder)
        except (OSError, ValueError, RuntimeError) as error:
            yield f"{where}: {path!r} is no path of a file ({error})"
            continue
        if made is not None:
            yield (
                f"{where}: {path!r} is in {made}, which holds what runs make and remove: move the file to "
                "another folder, such as data/raw"
            )
        elif not inside:
            yield (
                f"{where}: {path!r} is outside the study's folder: move the file here, or allow its folder "
                f"with `files: {{raw_folders: [{str(target.parent)!r}]}}`"
            )


def usable(path: str | Path) -> bool:
    """Whether `path` is a file that can be opened for reading."""
    try:
        if not Path(path).is_file():  # asked first: opening a pipe would wait for somebody to write
            return False
        with open(path, "rb"):
            return True
    except (OSError, ValueError):
        return False


def _inside(target: Path, folders: Sequence[Path]) -> bool:
    roots = [str(folder.resolve()) for folder in folders]
    return any(commonpath([root, str(target)]) == root for root in roots)
