"""The recipes in automation/: each is well-formed, and its command runs a study."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.studies import MODELS, ROOT, Study, new_study, stanza, write_raw

AUTOMATION = ROOT / "automation"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with a study in `study` and the command where `make` puts it."""
    home = tmp_path_factory.mktemp("home")
    study = home / "study"
    write_raw(study / "data/alpha.csv", seed=1)
    datasets = {"alpha": stanza("alpha", candidates=["random_intercept"])}
    new_study(study, {"datasets": datasets, "models": MODELS})
    command = study / ".venv/bin/lmm"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{study}" exec "{sys.executable}" -m lmmstudy "$@"\n')
    command.chmod(0o755)
    return home


def runs(home: Path) -> list[int]:
    """Exit codes of the runs in the ledger."""
    events = Study(home / "study").ledger()
    return [event["exit"] for event in events if event["event"] == "finished"]


def cron_lines(name: str) -> list[str]:
    lines = (AUTOMATION / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def bare(command: str, home: Path, folder: Path) -> int:
    """The command as a scheduler starts it: a plain shell, hardly any environment."""
    environment = {"HOME": str(home), "PATH": os.defpath}
    return subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment).returncode


@pytest.mark.parametrize("name", ["crontab", "scrontab"])
def test_cron_lines_have_five_fields_and_the_same_command(name):
    (line,) = cron_lines(name)
    fields = line.split(None, 5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in fields[:5])
    assert fields[5].startswith('cd "$HOME/study" && .venv/bin/lmm run')
    assert "%" not in fields[5]  # cron reads it as the end of the line


def test_the_cron_line_runs_the_study(home):
    (line,) = cron_lines("crontab")
    assert bare(line.split(None, 5)[5], home, home) == 0
    assert runs(home)[-1] == 0
    assert (home / "study/reports/alpha.html").exists()


def test_the_actions_step_runs_the_study_and_lets_news_pass(home):
    workflow = yaml.safe_load((AUTOMATION / "github-actions.yml").read_text())
    assert workflow[True]["schedule"] == [{"cron": "17 2 * * *"}]  # YAML 1.1 reads the key `on` as true
    (job,) = workflow["jobs"].values()
    (step,) = [step for step in job["steps"] if "lmm run" in step.get("run", "")]
    (cache,) = [step["with"]["path"].split() for step in job["steps"] if "cache" in step.get("uses", "")]
    assert {"results", "reports", "runs", ".snakemake"} == set(cache)
    study = home / "study"
    (study / "data/alpha.csv").rename(study / "aside.csv")
    assert bare(f"set -e\n{step['run']}", home, study) == 20
    (study / "aside.csv").rename(study / "data/alpha.csv")
    config = study / "config/config.yaml"
    config.write_text(config.read_text().replace("fixed: t", "fixed: t + I(t**2)"))
    assert bare(f"set -e\n{step['run']}", home, study) == 0
    assert runs(home)[-2:] == [20, 11]  # the coefficient is new: a changed conclusion, and no failure


def test_the_service_starts_the_command_and_takes_news_for_success(tmp_path):
    service, timer = (configparser.ConfigParser(strict=False, interpolation=None) for _ in range(2))
    for unit, ending in ((service, "service"), (timer, "timer")):
        unit.optionxform = str
        unit.read(AUTOMATION / f"lmm-study.{ending}")
    assert service["Service"]["ExecStart"] == "%h/study/.venv/bin/lmm run"
    assert service["Service"]["WorkingDirectory"] == "%h/study"
    assert service["Service"]["SuccessExitStatus"].split() == ["10", "11"]
    assert timer["Timer"]["Persistent"] == "true"
    if shutil.which("systemd-analyze"):
        text = (AUTOMATION / "lmm-study.service").read_text().replace("%h/study/.venv/bin/lmm", "/bin/true")
        (tmp_path / "lmm-study.service").write_text(text)
        shutil.copy(AUTOMATION / "lmm-study.timer", tmp_path)
        units = [str(tmp_path / f"lmm-study.{ending}") for ending in ("service", "timer")]
        done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
        ours = [line for line in done.stderr.splitlines() if "lmm-study" in line]
        assert not ours
        calendar = ["systemd-analyze", "calendar", timer["Timer"]["OnCalendar"]]
        assert subprocess.run(calendar, capture_output=True).returncode == 0


def test_the_page_on_unattended_runs_names_every_exit_code_and_recipe():
    from lmmstudy.run.codes import Exit

    text = (ROOT / "docs/running-unattended.md").read_text("utf-8")
    for code in Exit:
        assert f"| {int(code)} |" in text
    for path in AUTOMATION.iterdir():
        assert f"`{path.name}`" in text
