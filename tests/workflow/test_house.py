"""The workflow as a piece of software: style, entry points, profiles, mistakes in the config."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.studies import MODELS, ROOT, new_study, stanza, write_raw


def test_lint_is_clean(finished):
    run = finished.snakemake("--lint")
    assert run.status == 0 and "good condition" in run.text, run.text


def test_format_is_clean():
    command = [str(Path(sys.executable).with_name("snakefmt")), "--check", "Snakefile", "workflow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_catalog_entry_is_the_same_workflow(finished):
    assert finished.snakemake("--snakefile", "workflow/Snakefile").idle


def test_every_rule_that_works_has_what_an_expert_expects():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        if path.name != "common.smk":
            text = path.read_text("utf-8")
            for directive in ("log", "benchmark", "conda", "threads", "resources", "params"):
                assert f"\n    {directive}:" in text, f"{path.name} has no {directive}"
            assert "message:" in text and "whole(" in text and "code=CODE[" in text
            assert "run:" not in text and "checkpoint" not in text


def test_the_slurm_profile_keeps_what_the_default_profile_says():
    default, slurm = (
        yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text("utf-8"))
        for name in ("default", "slurm")
    )
    assert "cores" not in default
    assert default.items() <= slurm.items()


def test_mistakes_are_listed_together_without_a_traceback(tmp_path):
    datasets = {"alpha": stanza("alpha", respnse="y", candidates=["random_slpe"])}
    models = {"random_slope": {"formula": "{response} ~ {fixd}"}}
    study = new_study(tmp_path / "study", {"datasets": datasets, "models": models})
    run = study.snakemake()
    assert run.status == 1
    assert "Traceback" not in run.text and 'File "' not in run.text
    assert "The configuration has 3 problems:" in run.text
    for words in ("did you mean 'response'?", "did you mean 'random_slope'?", "{fixd} has no"):
        assert words in run.text


def test_the_workflow_says_what_lmm_check_says_of_formulas_and_raw_files(tmp_path):
    """A formula that cannot be read, a column that is not there, and one dataset that is sound."""
    datasets = {
        "form": stanza("alpha", candidates=["unclosed", "random_intercept"]),
        "column": stanza("alpha", fixed="t + dose", candidates=["random_intercept"]),
        "sound": stanza("alpha", candidates=["random_intercept"]),
    }
    unclosed = {"formula": "{response} ~ {fixed} + (1 | {subject}"}
    write_raw(tmp_path / "study/data/alpha.csv", seed=1)
    study = new_study(tmp_path / "study", {"datasets": datasets, "models": MODELS | {"unclosed": unclosed}})
    checked = study.lmm("check")
    assert checked.status == 30
    form, column = checked.text.splitlines()
    assert form.startswith("unclosed cannot be fitted to form: 'y ~ t + (1 | id': The parenthesis opened at")
    assert column.startswith("column was not analysed: data/alpha.csv has no column 'dose'")
    run = study.snakemake()
    assert run.status == 0 and run.text.count(form) == 1 and column in run.text.splitlines()
    pages = {path.stem for path in (study.folder / "reports").glob("*.html")}
    assert {"form", "column", "sound", "index"} <= pages


def test_a_config_of_one_s_own_replaces_the_embedded_one(finished):
    config = finished.config
    config["datasets"] = {"beta": config["datasets"]["beta"], "alpha": None}
    (finished.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    for arguments in (["--configfile", "mine.yaml"], ["--config", "study_config=mine.yaml"]):
        run = finished.snakemake(*arguments, "--dry-run", "--forceall")
        assert run.status == 0, run.text
        assert run.jobs == {"clean": 1, "fit": 3, "select": 1, "report": 1, "index": 1}
        assert "beta" in run.text and "alpha" not in run.text


def test_single_keys_of_the_command_line_change_the_config(finished):
    run = finished.snakemake("--config", "report={conf_level: 0.9}", "--dry-run")
    assert run.status == 0, run.text
    assert run.jobs["fit"] == 6


def test_a_template_in_the_config_is_not_evaluated(tmp_path):
    study = new_study(tmp_path / "study", {})
    proof = tmp_path / "proof"
    text = f"__use_yte__: true\ndatasets:\n  ?open({str(proof)!r}, 'w'): 1\nmodels: {{}}\n"
    (study.folder / "config/config.yaml").write_text(text)
    run = study.snakemake("--dry-run")
    assert run.status == 1 and "unknown key '__use_yte__'" in run.text
    assert not proof.exists()


def test_scripts_use_this_checkout_and_the_threads_they_are_given(study):
    """Left alone, polars would take every core of the machine."""
    spy = "    import polars, lmmstudy\n"
    spy += "    print(polars.thread_pool_size(), lmmstudy.__file__, file=sys.stderr)\n"
    study.edit("workflow/scripts/clean.py", lambda text: "import sys\n" + text + spy)
    assert study.snakemake("results/alpha/clean.json", "--forcerun", "clean").status == 0
    log = (study.folder / "logs/alpha/clean.log").read_text()
    assert f"\n1 {study.folder / 'lmmstudy/__init__.py'}\n" in log


FACT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w+( \w+=(\"[^\"]*\"|[^\" ]+))*"
"""A time, what happened, and values by name."""


def test_the_log_of_a_job_has_a_line_a_fact(finished):
    for name, facts in {
        "clean": ["begin rule=clean dataset=alpha threads=1", "clean status=ok rows=72 subjects=12"],
        "models/ar1": ["begin rule=fit dataset=alpha model=ar1 threads=1", "fit status=ok", "REML loglik=-"],
        "select": ["candidate model=random_intercept status=ok loglik=-", "select status=ok selected="],
    }.items():
        lines = (finished.folder / f"logs/alpha/{name}.log").read_text("utf-8").splitlines()
        assert all(re.fullmatch(FACT, line) for line in lines)
        for told in facts:
            assert any(line.split(" ", 1)[1].startswith(told) for line in lines), (told, lines)
        assert " end rule=" in lines[-1]
