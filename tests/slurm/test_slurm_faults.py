"""What goes wrong on clusters while a study runs; the results are those of a run in peace."""

import time

from tests.slurm import cluster as slurm
from tests.slurm.submission import submit


def test_a_job_killed_for_memory_is_tried_again_with_more(study, local):
    # Too little for Snakemake alone; eight times as much is enough.
    resources = [f"{rule}:mem_mb=120 * attempt ** 3" for rule in ("clean", "fit")]
    submission = submit(study, "--set-resources", *resources)
    run = submission.finish()
    datasets = len(local.config["datasets"])
    assert run.status == 0, run.text
    assert submission.states() == ["COMPLETED"] * datasets + ["FAILED"] * datasets
    kept = list((study.folder / "logs/slurm").rglob("*.log"))
    assert len(kept) == datasets
    assert all("exceeded memory limit" in log.read_text() for log in kept)
    assert all(str(log) in run.text for log in kept), "the terminal names them"
    assert study.results() == local.results()


def test_a_node_that_goes_down_and_a_cancelled_job_leave_the_rest(study, local):
    submission = submit(study, "--retries", "0")
    jobs = submission.wait_until_running(len(local.config["datasets"]))
    node = slurm.slurm("squeue", "--noheader", f"--jobs={jobs[0]}", "--format=%N").strip()
    lost = slurm.slurm("squeue", "--noheader", f"--nodelist={node}", "--format=%A").split()
    slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    slurm.run("scancel", next(job for job in jobs if job not in lost))
    # Slurm lets the jobs of a lost node wait for two minutes before it starts them again.
    waiting = ("squeue", "--noheader", f"--jobs={','.join(lost)}", "--states=pending", "--format=%r")
    slurm.wait_for(lambda: slurm.slurm(*waiting).split() == ["BeginTime"] * len(lost), "no job waits")
    # The node answers, so it is in use again at once: a job comes back after its first life has ended.
    spools = [slurm.STATE / node / f"job{int(job):05}" for job in lost]
    slurm.wait_for(lambda: not any(spool.exists() for spool in spools), "a job stays on the lost node")
    slurm.run("scontrol", "update", f"jobid={','.join(lost)}", "starttime=now")
    run = submission.finish()
    slurm.slurm("scontrol", "update", f"nodename={node}", "state=resume")  # refused if it is back already
    rest = len(jobs) - 1
    assert run.status == 1
    assert submission.states() == ["CANCELLED"] + ["COMPLETED"] * rest + ["NODE_FAIL"] * len(lost)
    assert len(list((study.folder / "reports").glob("[a-z]*.html"))) == rest
    # The next run makes up for the cancelled job alone; the controller restarts meanwhile.
    again = submit(study)
    again.wait_until_running()
    slurm.stop_controller()
    time.sleep(2)
    slurm.start_controller()
    run = again.finish()
    assert run.status == 0, run.text
    assert run.jobs == {"clean": 1, "fit": 1, "select": 1, "report": 1, "index": 1}
    assert again.states() == ["COMPLETED"]
    assert study.results() == local.results()


def test_a_killed_head_is_started_again_and_finished_jobs_stay(study, local):
    submission = submit(study, "--jobs", "2")
    slurm.wait_for(lambda: "(Rule: fit)" in submission.printed, "no job finished", seconds=300)
    jobs = submission.wait_until_running(2)
    submission.head.kill()
    submission.head.wait()
    # One job is cancelled with its head, the other goes on alone.
    slurm.run("scancel", max(jobs, key=int))
    slurm.wait_for(lambda: not submission.running(), "a job does not end", seconds=300)
    assert submission.states() == ["CANCELLED"] + ["COMPLETED"] * (len(local.config["datasets"]) - 1)
    assert study.snakemake("--unlock").status == 0
    again = submit(study).finish()
    assert again.status == 0, again.text
    assert again.jobs["clean"] == again.jobs["fit"] == 1, again.jobs
    assert study.results() == local.results()
