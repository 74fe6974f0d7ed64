"""The embedded studies on a real Slurm, by the committed profile."""

import shutil

import pytest
import yaml

from tests.slurm.cluster import slurm
from tests.slurm.submission import Submission, submit
from tests.support.studies import ROOT, Run, Study, new_study


@pytest.fixture(scope="module")
def both(cluster, tmp_path_factory) -> tuple[Study, Submission, Run]:
    """The embedded studies run by Snakemake alone, and on the cluster; two datasets a Slurm job."""
    folder = tmp_path_factory.mktemp("embedded")
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    local = new_study(folder / "local", config)
    shutil.copytree(ROOT / "data/raw", local.folder / "data/raw")
    submission = submit(local.untouched(folder / "cluster"), "--group-components", "study=2")
    alone = local.snakemake()
    assert alone.status == 0, alone.text
    return local, submission, submission.finish()


def test_the_embedded_studies_run_with_results_and_reports_of_a_local_run(both):
    local, submission, run = both
    assert run.status == 0, run.text
    assert submission.study.results() == local.results()
    pages = sorted(path for path in (local.folder / "reports").rglob("*") if path.is_file())
    assert len(pages) > len(local.config["datasets"])
    for page in pages:
        there = submission.study.folder / page.relative_to(local.folder)
        assert there.read_bytes() == page.read_bytes(), page.name


def test_batches_of_datasets_are_jobs_where_the_user_said_and_short_rules_are_none(both):
    local, submission, _ = both
    batches = -(-len(local.config["datasets"]) // 2)
    table = slurm(
        "sacct", "-X", "--noheader", "--parsable2", f"--name={submission.name}",
        "--format=Partition,Account,QOS,AllocCPUS,ReqMem,Comment",
    )  # fmt: skip
    assert table.splitlines() == ["test|lab|short|1|1000M|rule_study_clean_fit"] * batches


def test_what_jobs_used_is_reported_and_logs_of_good_jobs_go(both):
    _, submission, run = both
    report = submission.study.folder / f"logs/efficiency_report_{submission.name}.csv"
    assert report.name in run.text
    lines = report.read_text().splitlines()
    assert {"TotalCPU", "MaxRSS_MB", "RequestedMem_MB", "Memory Usage (%)"} <= set(lines[0].split(","))
    steps = [count for rule, count in run.jobs.items() if rule in ("clean", "fit")]
    assert len(lines) - 1 == sum(steps)
    assert not list((submission.study.folder / "logs/slurm").rglob("*.log"))
