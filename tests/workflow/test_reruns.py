"""What re-runs: each change exactly the jobs that depend on it, and no change nothing."""

import os
import shutil
import time

import pytest

from tests.support.studies import Study, stanza, write_raw

LIKELIHOOD = "lmmcore/likelihood/objective.py"


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.snakemake().idle


def test_a_fresh_clone_with_restored_results_has_nothing_to_do(study):
    """Every source file newer than every result, as `git clone` leaves them."""
    later = time.time() + 100
    for place in ("data", "config", "workflow", "lmmcore", "lmmstudy", "profiles", "Snakefile"):
        path = study.folder / place
        for file in [path] if path.is_file() else path.rglob("*"):
            os.utime(file, (later, later))
    assert study.plan().idle


def test_comments_and_layout_re_run_nothing(study):
    for name in (LIKELIHOOD, "workflow/scripts/fit.py", "lmmstudy/clean/clean.py"):
        study.edit(name, lambda text: text + "\n\n# A comment.\n")
    study.edit("config/config.yaml", lambda text: "# A comment.\n" + text)
    assert study.plan().idle


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (LIKELIHOOD, {"fit": 6, "select": 2, "report": 2, "index": 1}),
        ("lmmstudy/fitting/selection.py", {"select": 2, "report": 2, "index": 1}),
        ("lmmstudy/report/page.py", {"report": 2}),
        ("lmmstudy/clean/rows.py", {"clean": 2, "fit": 6, "select": 2, "report": 2, "index": 1}),
    ],
)
def test_an_edit_re_runs_what_depends_on_it(study, name, expected):
    study.edit(name, lambda text: text + "\n\nA_NEW_CONSTANT = 1\n")
    assert study.plan().jobs == expected


def test_a_new_dataset_runs_alone(study):
    write_raw(study.folder / "data/gamma.csv", seed=3)
    config = study.config
    config["datasets"]["gamma"] = stanza("gamma", candidates=["random_intercept"])
    study.configure(config)
    run = study.plan()
    assert run.jobs == {"clean": 1, "fit": 1, "select": 1, "report": 1, "index": 1}
    assert "alpha.html" not in run.text.split("Job stats")[0].split("rule all")[0]


def test_a_changed_file_re_runs_its_dataset(study):
    write_raw(study.folder / "data/beta.csv", seed=4)
    expected = {"clean": 1, "fit": 3, "select": 1, "report": 1, "index": 1}
    assert study.plan().jobs == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"title": "Another title"}, {"report": 1}),
        ({"candidates": ["random_intercept", "ar1"]}, {"select": 1, "report": 1, "index": 1}),
        ({"fixed": "1"}, {"fit": 3, "select": 1, "report": 1, "index": 1}),
        (
            {"range": {"y": [0, 50]}},
            {"clean": 1, "fit": 3, "select": 1, "report": 1, "index": 1},
        ),
    ],
)
def test_an_edited_stanza_re_runs_no_more_than_it_must(study, keys, expected):
    config = study.config
    config["datasets"]["alpha"] |= keys
    study.configure(config)
    assert study.plan().jobs == expected


def test_two_runs_in_two_folders_give_equal_bytes(finished, tmp_path):
    made = shutil.ignore_patterns("results", "reports", "logs", ".snakemake")
    shutil.copytree(finished.folder, tmp_path / "a folder elsewhere", ignore=made)
    other = Study(tmp_path / "a folder elsewhere")
    assert other.snakemake("--cores", "1").status == 0

    def contents(folder):
        files = sorted(p for p in (folder / "results").rglob("*") if p.is_file())
        return {p.relative_to(folder): p.read_bytes() for p in files}

    expected = contents(finished.folder)
    assert len(expected) == 2 * (2 + 3 + 1)
    assert contents(other.folder) == expected


def test_a_changed_file_counts_whatever_its_file_time(study):
    """A copy that keeps the time of its original is older than every result."""
    write_raw(study.folder / "data/beta.csv", seed=4)
    os.utime(study.folder / "data/beta.csv", (1, 1))
    expected = {"clean": 1, "fit": 3, "select": 1, "report": 1, "index": 1}
    assert study.plan().jobs == expected
