"""What goes wrong on clusters while a study runs; the results are those of a run in peace."""

import time

import pytest

from tests.slurm import cluster as slurm
from tests.slurm.submission import submit


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
    assert len(list((study.folder / "reports").glob("[a-z]*.html"))) == 2
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
