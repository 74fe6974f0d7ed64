"""The embedded studies on a real Slurm, by the committed profile; then what goes wrong on clusters."""

import shutil
import time

import pytest
import yaml

from tests.slurm import cluster as slurm
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
    table = slurm.slurm(
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


def test_a_job_killed_for_memory_is_tried_again_with_more(study, local):
    # Too little for Snakemake alone; eight times as much is enough.
    resources = [f"{rule}:mem_mb=120 * attempt ** 3" for rule in ("clean", "fit")]
    submission = submit(study, "--set-resources", *resources)
    run = submission.finish()
    assert run.status == 0, run.text
    assert submission.states() == ["COMPLETED"] * 3 + ["FAILED"] * 3
    kept = list((study.folder / "logs/slurm").rglob("*.log"))
    assert len(kept) == 3
    assert all("exceeded memory limit" in log.read_text() for log in kept)
    assert all(str(log) in run.text for log in kept), "the terminal names them"
    assert study.results() == local.results()


def test_a_node_that_goes_down_in_mid_run_is_survived(study, local):
    submission = submit(study)
    job = submission.wait_until_running(3)[0]
    node = slurm.slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    lost = slurm.slurm("squeue", "--noheader", f"--nodelist={node}", "--format=%A").split()
    slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    # Slurm lets such jobs wait for two minutes before it starts them again.
    waiting = ("squeue", "--noheader", f"--jobs={','.join(lost)}", "--states=pending", "--format=%r")
    slurm.wait_for(lambda: slurm.slurm(*waiting).split() == ["BeginTime"] * len(lost), "no job waits")
    # The node still answers and would be in use again at once, before the job's first life has ended there.
    slurm.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    slurm.run("scontrol", "update", f"jobid={','.join(lost)}", "starttime=now")
    run = submission.finish()
    slurm.slurm("scontrol", "update", f"nodename={node}", "state=resume")
    assert run.status == 0, run.text
    assert submission.states() == ["COMPLETED"] * 3 + ["NODE_FAIL"] * len(lost)
    assert study.results() == local.results()


def test_a_cancelled_job_leaves_the_rest_and_is_made_up_for(study, local):
    submission = submit(study, "--retries", "0")
    slurm.run("scancel", submission.wait_until_running(3)[0])
    run = submission.finish()
    assert run.status == 1
    assert submission.states() == ["CANCELLED", "COMPLETED", "COMPLETED"]
    pages = {path.stem for path in (study.folder / "reports").glob("*.html")}
    assert "index" in pages and len(pages & {"alpha", "beta", "gamma"}) == 2  # the index says what is missing
    again = submit(study).finish()
    assert again.status == 0, again.text
    assert again.jobs == {"clean": 1, "fit": 1, "select": 1, "report": 1, "index": 1}
    assert study.results() == local.results()


def test_a_controller_that_restarts_in_mid_run_is_survived(study, local):
    submission = submit(study)
    submission.wait_until_running(3)
    slurm.stop_controller()
    time.sleep(2)
    slurm.start_controller()
    run = submission.finish()
    assert run.status == 0, run.text
    assert submission.states() == ["COMPLETED"] * 3
    assert study.results() == local.results()


@pytest.mark.parametrize(("its_job", "datasets_left"), [("finishes", 1), ("is cancelled", 2)])
def test_a_killed_head_is_started_again_and_finished_jobs_stay(study, local, its_job, datasets_left):
    submission = submit(study, "--jobs", "1")
    slurm.wait_for(lambda: "(Rule: fit)" in submission.printed, "no job finished")
    submission.wait_until_running()
    submission.head.kill()
    submission.head.wait()
    if its_job == "is cancelled":
        slurm.run("scancel", f"--name={submission.name}")
    slurm.wait_for(lambda: not submission.running(), "a job does not end")
    assert study.snakemake("--unlock").status == 0
    again = submit(study).finish()
    assert again.status == 0, again.text
    assert again.jobs["clean"] == datasets_left and again.jobs["fit"] == datasets_left, again.jobs
    assert study.results() == local.results()
