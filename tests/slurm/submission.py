"""A study run by Snakemake on the test cluster, watched while it runs."""

import subprocess
import sys
from dataclasses import dataclass

from tests.slurm.cluster import slurm, wait_for
from tests.support.studies import Run, Study

# What a user says about a cluster, and how often to look at its jobs: the defaults are for long ones.
USER = ("--default-resources", "slurm_partition=test", "slurm_account=lab", "qos=short")
PACE = ("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3")

HEADS: list[subprocess.Popen] = []


@dataclass(frozen=True)
class Submission:
    """A running `snakemake --workflow-profile profiles/slurm`."""

    study: Study
    head: subprocess.Popen

    @property
    def printed(self) -> str:
        return (self.study.folder / "terminal.txt").read_text()

    @property
    def name(self) -> str:
        """What all Slurm jobs of the run are called."""
        return self.printed.split("SLURM run ID: ")[1].split()[0]

    def running(self) -> list[str]:
        """Numbers of its Slurm jobs that run now."""
        return slurm("squeue", "--noheader", f"--name={self.name}", "--states=running", "--format=%A").split()

    def wait_until_running(self, jobs: int = 1) -> list[str]:
        """Numbers of the Slurm jobs that run, once there are as many as `jobs`."""
        wait_for(lambda: "has been submitted" in self.printed, "no Slurm job was submitted")
        wait_for(lambda: len(self.running()) >= jobs, "too few Slurm jobs were started")
        return self.running()

    def states(self) -> list[str]:
        """How each of its Slurm jobs ended, in every one of its lives, by Slurm's accounting."""
        query = ("sacct", "--duplicates", "-X", "--noheader", f"--name={self.name}", "--format=State%20")
        return sorted(word for word in slurm(*query).split() if word.isupper())

    def finish(self) -> Run:
        """Wait for the end."""
        return Run(self.head.wait(timeout=1800), self.printed)


def submit(study: Study, *arguments: str) -> Submission:
    """Start Snakemake with the profile; one dataset a Slurm job unless told otherwise."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm"]
    command += [*USER, *PACE, "--group-components", "study=1", *arguments]
    with (study.folder / "terminal.txt").open("w") as terminal:
        head = subprocess.Popen(command, cwd=study.folder, stdout=terminal, stderr=subprocess.STDOUT)
    HEADS.append(head)
    return Submission(study, head)


def leave_nobody() -> None:
    """Kill every Snakemake that was started here and still runs, after a test that failed."""
    for head in HEADS:
        head.kill()
        head.wait()
