"""Both recipes of containers/ make the same image: the locked packages by their hashes, then the project."""

import re

from tests.support.studies import ROOT

DOCKER = (ROOT / "containers/Dockerfile").read_text("utf-8")
APPTAINER = (ROOT / "containers/lmmcore.def").read_text("utf-8")


def copied() -> tuple[set[str], set[str]]:
    """What each recipe takes from the repository."""
    lines = re.findall(r"^COPY (.+) \S+$", DOCKER, flags=re.MULTILINE)
    section = APPTAINER.split("%files\n")[1].split("\n\n")[0]
    return set(" ".join(lines).split()), {line.split()[0] for line in section.splitlines()}


def test_both_take_the_same_files_which_are_all_that_the_programs_need():
    docker, apptainer = copied()
    parts = {"pyproject.toml", "README.md", "LICENSE", "lmmcore", "lmmstudy", "workflow"}
    assert docker == apptainer == parts | {"requirements.lock"}
    assert all((ROOT / name).exists() for name in docker)


def test_both_install_the_lock_by_its_hashes_and_nothing_else():
    for text in (DOCKER, APPTAINER):
        lock, project = re.findall(r"pip install (.*)", text)
        assert lock.startswith("--no-cache-dir --require-hashes --requirement ")
        assert project.startswith("--no-cache-dir --no-deps --no-build-isolation --no-index --editable ")
    assert re.search(r"^FROM (.*)", DOCKER, re.M)[1] == re.search(r"^From: (.*)", APPTAINER, re.M)[1]
