"""`lmm run -- ARGUMENTS`: every option of Snakemake is honoured truthfully or refused in a sentence; the
configuration that was checked is the one that runs, whatever the name of its file."""

import shlex
from pathlib import Path

import pytest

from lmmcore.errors import DataError
from lmmstudy.base.folders import folders_of
from lmmstudy.cli import main
from lmmstudy.config.file import ConfigError
from lmmstudy.config.study import study
from lmmstudy.run import workflow
from lmmstudy.run.arguments import HONOURED, OF_EXECUTORS, check_arguments

SNAKEFILE = workflow.PROJECT / "Snakefile"
TAKEN = """
--cores 1 | -c2 | -j 4 | --forceall | -F | --forcerun fit | --retries 2 | --latency-wait 9 | -k | --verb
--workflow-profile profiles/slurm | --executor slurm | --set-threads fit=2 | --default-resources mem_mb=1
--slurm-qos a | --rerun-triggers mtime params input | --scheduler greedy | --printshellcmds
"""
ANOTHER_RUN = """
-n | --dry-run | --dryrun | --touch | -t | --executor dryrun | -etouch | --until fit | -U fit
--omit-from fit | --batch all=1/2 | all | results/d/clean.json | -- results/d/clean.json | --allowed-rules fit
--target-jobs fit:dataset=d | --rerun-triggers mtime | --ignore-incomplete | --consider-ancient fit=parquet
--drop-metadata | --quiet | -q all | --nolock
"""
ANOTHER_CONFIGURATION = """
--config 'report={conf_level: 0.5}' | -C study_config=x | --configfile x.yaml | --configfiles x.yaml
--directory /tmp | -d x | --snakefile x | -s x | --replace-workflow-config | --mode remote
"""
SOMETHING_ELSE = """
--unlock | --lint | --summary | -D | --dag | --rulegraph | --list-rules | --delete-all-output
--archive x.tgz | --report | --cleanup-metadata x | --version | --help | -h | --export-cwl x
--generate-unit-tests | --containerize | --list-changes code | --conda-create-envs-only | --print-compilation
--edit-notebook x
--d3dag | --nonsense | --cores many | --profile nowhere | '-\ud800' | --dry
"""


def calls(text: str) -> list[list[str]]:
    """Arguments of several calls, which | and line ends separate."""
    return [shlex.split(call) for call in text.replace("\n", "|").split("|") if call.strip()]


@pytest.mark.parametrize("arguments", calls(TAKEN), ids=" ".join)
def test_how_jobs_are_executed_is_handed_on(arguments):
    check_arguments(arguments, SNAKEFILE)


@pytest.mark.parametrize("arguments", calls(ANOTHER_RUN + ANOTHER_CONFIGURATION + SOMETHING_ELSE), ids=ascii)
def test_what_would_make_another_run_of_it_is_refused(arguments):
    with pytest.raises(DataError, match="lmm run does not take|Snakemake does not run with") as refused:
        check_arguments(arguments, SNAKEFILE)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_every_honoured_option_is_one_of_snakemake():
    from snakemake.cli import get_argument_parser

    known = {action.dest for action in get_argument_parser()._actions}
    assert known >= HONOURED and any(name.startswith(OF_EXECUTORS) for name in known)


@pytest.mark.parametrize("text", ["dry-run: true", "until: [fit]", "config: [a=b]", "quiet: true", "- a"])
@pytest.mark.parametrize("place", ["default", "named", "environment"])
def test_profiles_count_as_what_they_say(tmp_path, monkeypatch, text, place):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ("profiles/default" if place == "default" else "own")
    folder.mkdir(parents=True)
    (folder / "profile.yaml").write_text(f"{text}\n")
    if place == "environment":
        monkeypatch.setenv("SNAKEMAKE_PROFILE", "own")
    arguments = ["--profile", "own"] if place == "named" else []
    with pytest.raises(DataError):
        check_arguments(arguments, SNAKEFILE)


def test_a_default_profile_without_needed_triggers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles/default").mkdir(parents=True)
    profile = tmp_path / "profiles/default/profile.yaml"
    profile.write_text("rerun-triggers: [mtime]\n")
    with pytest.raises(DataError, match="--rerun-triggers: without"):
        check_arguments([], SNAKEFILE)
    profile.write_text("rerun-triggers: [mtime, params, input, code]\ncores: 1\n")
    check_arguments([], SNAKEFILE)


NAMES = ["my #1.yaml", "007", "1e3", "'q'.yaml", '"q".yaml', "a=b.yaml", "{x}.yaml", "true", "null", " x "]
NAMES += ["é.yaml", "-x.yaml", "[a].yaml", "a: b", "~", "$HOME", "$(touch harm)", "x\\n.yaml", "x\ny.yaml"]
NAMES += ["0x10", "{{a}}"]
TEXT = """
datasets:
  d: {{path: d.csv, subject: id, time: t, response: y, fixed: t, candidates: [m], title: {title}}}
models: {{m: {{formula: "y ~ t"}}}}
"""


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_checked_is_the_one_that_runs(tmp_path, monkeypatch, name):
    """Snakemake is given the name of a copy, which no reader takes for something else."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(TEXT.format(title="mine"))
    checked = workflow.checked_copy(name, Path("runs/config.yaml"))
    assert Path("runs/config.yaml").read_bytes() == Path(name).read_bytes()
    call = workflow.command(Path("runs/config.yaml"), folders_of(name), ())
    from snakemake.cli import parse_args, parse_config

    _, given = parse_args(call[call.index("--snakefile") :])
    keys = parse_config(given.config)
    assert keys.pop("study_folder") == str(folders_of(name).root)
    assert study(keys) == checked == study({}, where=name)
    assert checked["datasets"]["d"]["title"] == "mine"


def test_a_file_that_changes_meanwhile_or_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("c.yaml")
    path.write_text(TEXT.format(title="before"))

    def checked(*given, where):
        found = study(*given, where=where)
        path.write_text(TEXT.format(title="after"))
        return found

    monkeypatch.setattr(workflow, "study", checked)
    with pytest.raises(DataError, match="changed while it was read"):
        workflow.checked_copy("c.yaml", Path("copy.yaml"))
    for name in ("nowhere.yaml", "."):
        with pytest.raises(ConfigError):
            workflow.checked_copy(name, Path("copy.yaml"))
    assert not Path("copy.yaml").exists()


def test_a_refused_run_is_written_down_as_broken_off(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("007").write_text(TEXT.format(title="mine"))
    assert main(["run", "--config", "007", "--", "-n"]) == 1
    said = capsys.readouterr().err
    assert "lmm run does not take --dry-run" in said and "nothing moved" not in said
    at = folders_of("007")
    assert '"exit": 1' in (at.runs / "ledger.jsonl").read_text() and not at.results.exists()
