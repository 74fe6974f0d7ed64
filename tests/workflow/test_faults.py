"""No memory, no permission, no space, kill -9: once the cause is gone, the next run ends with the bytes of an
undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studies import MODELS, Study, new_study, stanza, write_raw

KILLS = 25
MOST = 14
"""Things that a run writes at least, when a dataset is to be made again."""
ROOT = os.geteuid() == 0
PLAIN = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner") if ROOT else ()
"""Before a command: permissions bind it, as they bind a user who is not root."""
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Study:
    """Three datasets with one candidate each, run to the end without disturbance."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    names = ("alpha", "beta", "gamma")
    for seed, name in enumerate(names, start=1):
        write_raw(folder / f"data/{name}.csv", seed)
    datasets = {name: stanza(name, candidates=["random_intercept"]) for name in names}
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    run = study.lmm("run")
    assert run.status == 0, run.text
    return study


@pytest.fixture
def study(whole, tmp_path) -> Study:
    """The same before its first run."""
    return whole.untouched(tmp_path / "study")


def made(study: Study) -> dict[str, bytes]:
    """Results and reports by name, without the marks that Snakemake leaves in folders."""
    files = (path for top in ("results", "reports") for path in (study.folder / top).rglob("[!.]*"))
    return {str(path.relative_to(study.folder)): path.read_bytes() for path in files if path.is_file()}


def ends_as(study: Study, whole: Study) -> None:
    """The next run makes good what the last one could not."""
    run = study.lmm("run")
    assert run.status == 0, run.text
    assert made(study) == made(whole)


AT_THE_TABLE = """
import os, resource, signal, sys

def fault(event, arguments):
    if event != "open" or not any(argument.endswith(".fit.py") for argument in sys.orig_argv):
        return
    if str(arguments[0]).endswith("alpha/clean.parquet"):
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 2**20
        resource.setrlimit(resource.RLIMIT_AS, (used, used))
    if str(arguments[0]).endswith("beta/clean.parquet"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(fault)
"""
"""Python's start-up module, so that the project itself stays as it is. When a fit has all its modules and is
about to read its rows, alpha may take one megabyte more, and beta is what the kernel kills to get memory."""


def test_out_of_memory_in_a_fit_is_no_result(study, whole):
    hook = study.folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(AT_THE_TABLE)
    run = study.lmm("run", PYTHONPATH=f"{study.folder}:{hook}")
    assert run.status == 20, run.text
    for name in ("alpha", "beta"):
        assert f"{name} was not finished: see the files under logs/{name}" in run.text
        assert not (study.folder / f"results/{name}/models/random_intercept.json").exists()
    assert (study.folder / "reports/gamma.html").exists()
    ends_as(study, whole)


def test_a_raw_file_without_permission_stops_its_dataset_alone(study, whole):
    raw = study.folder / "data/alpha.csv"
    raw.chmod(0)
    run = study.lmm("run", before=PLAIN)
    assert run.status == 20, run.text
    sentence = "data/alpha.csv cannot be read by this user: change its permissions"
    assert sentence in run.text and sentence in (study.folder / "reports/index.html").read_text()
    assert made(study)["reports/beta.html"] == made(whole)["reports/beta.html"]
    raw.chmod(0o644)
    ends_as(study, whole)


@pytest.mark.parametrize("name", ["results", "runs"])
def test_a_folder_without_permission_to_write(study, whole, name):
    folder = study.folder / name
    folder.mkdir()
    folder.chmod(0o555)
    run = study.lmm("run", before=PLAIN)
    assert run.status == 1, run.text
    assert "Permission denied" in run.text
    folder.chmod(0o755)
    ends_as(study, whole)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own, of 64 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={64 * MEGABYTE}", "lmm-test", str(disk)]
    if not ROOT or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be made by root alone")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("free", [60, 900])
def test_a_full_disk(whole, small_disk, free):
    """`free` kilobytes are left on it: for the beginning, for most of the run."""
    study = whole.untouched(small_disk / "study")
    filler = small_disk / "filler"
    space = os.statvfs(small_disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_bsize - free * 1024)
    run = study.lmm("run", PYTHONDONTWRITEBYTECODE="1")
    assert run.status in (1, 20), run.text
    assert "No space left on device" in run.text
    filler.unlink()
    ends_as(study, whole)


def written(study: Study) -> int:
    """How far the runs of a study have come: files they wrote, and lines of the ledger."""
    ledger = study.folder / "runs/ledger.jsonl"
    tops = ("results", "reports", "logs", "runs", ".snakemake/log", ".snakemake/metadata")
    files = sum(len(files) for top in tops for _, _, files in os.walk(study.folder / top))
    return files + (ledger.read_bytes().count(b"\n") if ledger.exists() else 0)


def test_runs_killed_at_any_moment(study, whole):
    """kill -9 of `lmm run` and all it started, 25 times after a seeded number of things it wrote. Before each
    run all results of a dataset are removed, so that there is something to do."""
    moments = random.Random(7)
    for _ in range(KILLS):
        again = study.folder / "results" / moments.choice(("alpha", "beta", "gamma"))
        shutil.rmtree(again, ignore_errors=True)
        until = written(study) + moments.randint(1, MOST)
        run = subprocess.Popen(
            [sys.executable, "-m", "lmmstudy", "run"],
            cwd=study.folder,
            env=os.environ | {"PYTHONPATH": str(study.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while run.poll() is None and written(study) < until:
            time.sleep(0.002)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    ends_as(study, whole)
    events = [event["event"] for event in study.ledger()]
    assert events.count("interrupted") == events.count("started") - events.count("finished")
    assert events.count("interrupted") > KILLS // 2
