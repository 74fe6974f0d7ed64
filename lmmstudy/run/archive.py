"""`lmm archive`: a study in one file from which it can be run again: all that it reads, all that it made.

Equal studies give equal bytes: entries go by name, and carry neither owner nor time.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmmcore.errors import DataError
from lmmstudy.base.files import write_atomically
from lmmstudy.base.fingerprint import BUILT
from lmmstudy.base.folders import CONFIG, folders_of
from lmmstudy.base.project import FILES, INSTALLED, PACKAGES, PROJECT
from lmmstudy.config.study import study

TOP = "study"
"""The folder that the archive unpacks to."""
PROGRAM = ("lmmcore", "lmmstudy", *FILES)
"""Files and folders of the project."""
MADE = ("results", "reports", "runs/ledger.jsonl", "runs/state.json")
"""What was made of the study. Pages under runs/ are made anew by the next run."""
EPOCH = 315532800
"""The file time in the archive: the beginning of 1980, the earliest that every format has."""


def archive(config: str, out: str) -> int:
    """Write the study of the configuration file `config` to `out`, a .tar.gz; gives the number of files.

    Raises ConfigError, and DataError for files that the study would not find in the archive, or when `out` is
    one of its files.
    """
    here = Path.cwd()
    files = dict(sorted({**_program(), **_own(study({}, where=config), config, here)}.items()))

    if any(path.exists() and path.samefile(out) for path in files.values() if Path(out).exists()):
        raise DataError(f"{out} is a file of the study: name another file for the archive.")

    def fill(place: Path) -> None:
        # The header of gzip would hold the time and the name of the file.
        with place.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, path in files.items():
                    _add(tar, name, path)

    write_atomically(out, fill)
    return len(files)


def is_archive(path: Path) -> bool:
    """Whether `path` is what `archive` wrote. Raises OSError."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            first = tar.next()
    except (tarfile.TarError, EOFError, zlib.error):
        return False
    return first is not None and first.name.startswith(f"{TOP}/") and (first.mtime, first.uid) == (EPOCH, 0)


def _program() -> dict[str, Path]:
    """Files of the project by their name in the archive."""
    found = {}
    for part in PROGRAM:
        root = PROJECT if part in FILES else PACKAGES
        for path in _files(root / part):
            if root == PROJECT or not path.is_relative_to(INSTALLED):
                found[str(path.relative_to(root))] = path
    return found


def _own(config: Mapping[str, Any], name: str, here: Path) -> dict[str, Path]:
    """Files of the study by their name in the archive, raw files that are there included."""
    found = {str(path.relative_to(here)): path for path in _files(here / "config")}
    found[CONFIG] = here / name  # where `make reports` looks for it; what was made goes with it
    root = here / folders_of(name).root
    found |= {str(path.relative_to(root)): path for part in MADE for path in _files(root / part)}
    named = {"the configuration": name}
    named |= {f"datasets.{dataset}.path": stanza["path"] for dataset, stanza in config["datasets"].items()}
    for where, text in named.items():
        path = here / text
        if Path(text).is_absolute() or ".." in Path(text).parts:
            raise DataError(
                f"{where}: {text!r} is outside the study's folder and would be missing in the archive: "
                "copy the file into the folder and name it there."
            )
        if path.is_file():
            found[str(path.relative_to(here))] = path
    return found


def _files(path: Path) -> Iterator[Path]:
    """The file `path`, or the files under the folder `path` but what installing, Python and editors leave."""
    if path.is_file():
        yield path
    for inner in path.rglob("*") if path.is_dir() else ():
        hidden = any(part == "__pycache__" or part[0] == "." for part in inner.parts[-2:])
        if inner.is_file() and not hidden and inner.suffix not in BUILT:
            yield inner


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file, a link as what it leads to."""
    content = path.read_bytes()
    entry = tarfile.TarInfo(f"{TOP}/{Path(name).as_posix()}")
    entry.size, entry.mtime, entry.mode = len(content), EPOCH, 0o644
    tar.addfile(entry, io.BytesIO(content))
