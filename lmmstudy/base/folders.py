"""Where a configuration keeps what is made of it, so that two studies in one folder never meet."""

import re
from dataclasses import dataclass
from hashlib import sha256
from os.path import relpath
from pathlib import Path

CONFIG = "config/config.yaml"
"""The configuration of the folder itself."""
STUDIES = "studies"
"""The folder of the studies that have a configuration of another name."""


@dataclass(frozen=True)
class Folders:
    """The folders of one study. root : of all of them, from the folder where the study is run."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def runs(self) -> Path:
        return self.root / "runs"


def folders_of(*configs: str | Path) -> Folders:
    """The folders of the study that the configuration files `configs` describe together.

    results/, reports/, logs/ and runs/ of config/config.yaml stand in the folder itself, those of
    mystudy.yaml in studies/mystudy. Any other file (in another folder, of an odd name, several files) has a
    part of the checksum of its path behind its name.
    """
    paths = [Path(relpath(config or ".")).as_posix() for config in configs]
    if paths == [CONFIG]:
        return Folders(Path())
    stem = Path(paths[0]).stem
    if paths == [f"{stem}.yaml"] and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,99}", stem):
        return Folders(Path(STUDIES, stem))
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:60]
    mark = sha256("\n".join(paths).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return Folders(Path(STUDIES, f"{plain}-{mark}"))
