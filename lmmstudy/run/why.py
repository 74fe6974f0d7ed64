"""`lmm why`: what the results of a dataset were made from, against what is there now."""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lmmstudy.base.files import DAMAGED, file_sha256, read_json
from lmmstudy.base.fingerprint import fingerprints
from lmmstudy.base.project import PACKAGES, PROJECT
from lmmstudy.base.text import did_you_mean, shown
from lmmstudy.config.places import usable
from lmmstudy.config.study import plan

ABSENT = "not there"


def reasons(config: Mapping[str, Any], dataset: str, results: Path = Path("results")) -> list[str]:
    """Sentences that begin with their cause (data, config, engine, environment, results); none when
    `dataset` is up to date, apart from its report, whose texts no result depends on.

    config : the checked configuration. Raises KeyError with a sentence for a dataset that is not in it.
    """
    if dataset not in config["datasets"]:
        near = did_you_mean(dataset, list(config["datasets"]))
        known = ", ".join(config["datasets"])
        raise KeyError(f"there is no dataset {dataset!r}{near} (datasets: {known})")
    jobs = plan(config)[dataset]
    folder = results / dataset
    code = fingerprints((PROJECT / "workflow" / "scripts").glob("[!b]*.py"), PACKAGES)
    parts = [("clean", folder / "clean.json", jobs["clean"], code["clean"])]
    for model, design in jobs["fit"].items():
        wanted = {key: design[key] for key in ("dataset", "model", "report")}
        parts.append((f"fit {model}", folder / "models" / f"{model}.json", wanted, code["fit"]))
    parts.append(("select", folder / "selection.json", jobs["select"], code["select"]))
    found = list(_data(jobs["clean"]["path"], folder / "clean.json"))
    for job, path, wanted, fingerprint in parts:
        found += _of_job(job, path, wanted, fingerprint)
    return list(dict.fromkeys(found))


def _data(raw: str, audit: Path) -> Iterator[str]:
    try:
        known = read_json(audit)["source"]["sha256"]
    except DAMAGED:
        return
    present = file_sha256(raw) if usable(raw) else None
    if known != present:
        was, now = (value[:12] if value else ABSENT for value in (known, present))
        yield f"data: {raw} is {now} (SHA-256), it was {was}; clean and everything after it runs"


def _of_job(job: str, path: Path, wanted: Mapping[str, Any], fingerprint: str) -> Iterator[str]:
    try:
        origin = read_json(path)["provenance"]
        config, code, versions = origin["config"], origin["code"], dict(origin["versions"])
    except FileNotFoundError:
        yield f"results: {path} does not exist; {job} runs"
        return
    except DAMAGED:
        yield f"results: {path} is damaged; {job} runs"
        return
    for place, now, was in _differences(wanted, config):
        yield f"config: {place} is {now}, it was {was}; {job} runs"
    if code != fingerprint:
        yield f"engine: the code of {job.split()[0]} changed; {job.split()[0]} runs for every dataset"
    for package, was in versions.items():
        now = _version(package)
        if now != was:
            yield f"environment: {package} is {now}, it was {was}; by itself that runs nothing"


def _differences(new: Any, old: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Place, value now and value before, of every leaf that differs."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        for key in [*new, *(key for key in old if key not in new)]:
            inner = f"{place}.{key}" if place else str(key)
            yield from _differences(new.get(key, ABSENT), old.get(key, ABSENT), inner)
    elif new != old:
        was, now = (value if value == ABSENT else shown(value, 200) for value in (old, new))
        yield place, now, was


def _version(package: str) -> str:
    if package == "python":
        return platform.python_version()
    if package == "lmmcore":
        import lmmcore  # start-up time

        return lmmcore.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT
