"""The command line: each command's words and exit codes; what needs Snakemake is tested in tests/workflow."""

import io
import subprocess
import sys
import zipfile
from argparse import ArgumentTypeError
from pathlib import Path

import polars as pl
import pytest
import yaml

from lmmstudy.base.files import read_json, write_json
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.cli import main
from lmmstudy.cli.fit import residual, variance
from lmmstudy.config.draft import draft
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.bundle import write as write_bundle
from lmmstudy.fitting.candidate import fit_candidate

ROOT = Path(__file__).resolve().parents[3]
MODELS = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))["models"]
STANZA = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t", "candidates": ["m"]}
MODEL = {"formula": "{response} ~ {fixed} + (1 | {subject})"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty study folder, the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return tmp_path


def configure(folder: Path, datasets: dict, models: dict) -> None:
    config = {"datasets": datasets, "models": models}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))


def test_check_lists_config_formulas_and_raw_files_together(folder, capsys):
    (folder / "good.csv").write_text("id,t,y\n1,0,1\n1,1,2\n")
    (folder / "text.csv").write_text("id,t,y\n1,0,1 kg\n")
    datasets = {
        "good": STANZA | {"path": "good.csv"},
        "typo": STANZA | {"path": "good.csv", "respnse": "y"},
        "text": STANZA | {"path": "text.csv"},
        "gone": STANZA | {"path": "gone.csv"},
        "form": STANZA | {"path": "good.csv", "candidates": ["unclosed"]},
    }
    unclosed = {"formula": "{response} ~ {fixed} + (1 | {subject}"}
    configure(folder, datasets, {"m": MODEL, "unclosed": unclosed})
    assert main(["check"]) == 30
    said = capsys.readouterr().err
    for words in (
        "datasets.typo: unknown key 'respnse', did you mean 'response'?",
        "text was not analysed: column 'y' holds what is not a number: '1 kg' in row 2",
        "gone was not analysed: there is no file gone.csv",
        "unclosed cannot be fitted to form: 'y ~ t + (1 | id': ",
    ):
        assert words in said
    assert "good was" not in said and "Traceback" not in said


def test_check_of_what_is_in_order_and_of_what_is_absent(folder, capsys):
    (folder / "raw.csv").write_text("id,t,y\n1,0,1\n1,1,2\n")
    configure(folder, {"d": STANZA}, {"m": MODEL})
    assert main(["check"]) == 0 and "in order" in capsys.readouterr().out
    assert main(["check", "--config", "nowhere.yaml"]) == 30
    assert "There is no configuration nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sleepstudy", "orthodont", "ovary", "bodyweight", "clinic"])
def test_drafts_of_the_embedded_files_name_subject_and_response(monkeypatch, name):
    """The embedded configuration, written by hand, says who was measured and what."""
    monkeypatch.chdir(ROOT)
    embedded = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))["datasets"][name]
    stanza = yaml.safe_load(draft(embedded["path"]))[name]
    keys = ("path", "subject", "response", "time", "separator", "decimal")
    assert {key: stanza.get(key) for key in keys} == {key: embedded.get(key) for key in keys}
    assert load({"datasets": {name: stanza}, "models": MODELS})


def test_a_draft_finds_encoding_commas_dates_codes_and_wide_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "Größe;Patient Nr;Datum\n1,5;M1;2024-01-05\n-99;M1;2024-02-05\n2,5;M2;2024-01-05\n"
    (tmp_path / "my data.csv").write_bytes(text.encode("cp1252"))
    stanza = yaml.safe_load(draft("my data.csv"))["my_data"]
    expected = {"separator": ";", "decimal": ",", "encoding": "cp1252", "subject": "Patient Nr"}
    expected |= {"time": "Datum", "response": "Größe", "missing": [-99], "time_unit": "days"}
    assert {key: stanza.get(key) for key in expected} == expected
    (tmp_path / "wide.tsv").write_text("id\tsex\tw0\tw4\tw8\n1\tf\t1\t2\t3\n2\tm\t4\t5\t7\n")
    stanza = yaml.safe_load(draft("wide.tsv"))["wide"]
    assert stanza["wide"] == {"w0": 0, "w4": 4, "w8": 8} and stanza["subject"] == "id"
    assert (stanza["time"], stanza["response"], stanza["fixed"]) == ("time", "w", "time")
    (tmp_path / "1.csv").write_text('id,"t\u2028fixed: harm","y\n    fixed: harm"\n1,0,2\n1,1,3\n')
    assert yaml.safe_load(draft("1.csv"))["study_1"]["fixed"] != "harm"
    with pytest.raises(Unusable, match="is empty"):
        (tmp_path / "empty.csv").write_text("")
        draft("empty.csv")


def test_init_of_a_file_that_is_not_there_is_a_sentence(folder, capsys):
    assert main(["init", "nowhere.csv"]) == 1
    assert capsys.readouterr().err.startswith("No draft: nowhere.csv cannot be read")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ar1:t", {"type": "ar1", "time": "t", "subject": None, "nugget": False}),
        ("ar1:t,subject=id", {"type": "ar1", "time": "t", "subject": "id", "nugget": False}),
        ("ar1:t,subject=site:id", {"type": "ar1", "time": "t", "subject": ["site", "id"], "nugget": False}),
        (
            "ante_dependence:t,subject=id,homogeneous",
            {
                "type": "ante_dependence",
                "time": "t",
                "subject": "id",
                "nugget": False,
                "heterogeneous": False,
            },
        ),
        (
            "ar1:t,subject=id,by=arm",
            {"type": "ar1", "time": "t", "subject": "id", "nugget": False, "by": "arm"},
        ),
        ("gaussian:t,nugget", {"type": "gaussian", "time": "t", "subject": None, "nugget": True}),
        ("compound_symmetry", {"type": "compound_symmetry", "time": None, "subject": None, "nugget": False}),
    ],
)
def test_residual_structures_of_the_command_line(text, expected):
    assert residual(text) == expected


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (residual, "ar2:t", "no type 'ar2', did you mean 'ar1'"),
        (residual, "ar1", "needs the column of the times"),
        (residual, "ar1:t,u", "names a time too many"),
        (residual, "compound_symmetry:t", "names a time too many"),
        (residual, "ar1:t,nugget", "only exponential and gaussian"),
        (residual, "ar1:t,homogeneous", "only ante_dependence may be homogeneous"),
        (residual, "ar1:t,id=x", "only subject= and by= may be set"),
        (variance, "by_grup:arm", "did you mean 'by_group'"),
        (variance, "power", "needs a column"),
    ],
)
def test_structures_that_are_misspelt(read, text, words):
    with pytest.raises(ArgumentTypeError, match=words):
        read(text)


def test_fit_prints_the_published_estimates(capsys):
    """Bates and others, Journal of Statistical Software 67(1), 2015, section 5: 251.405 and 10.467."""
    raw = str(ROOT / "data/raw/sleepstudy.csv")
    arguments = ["fit", "Reaction ~ Days + (Days | Subject)", raw, "--df", "residual"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "251.4" in said and "10.467" in said and "Fixed effects (residual):" in said
    assert "df 178" in said  # 180 rows, 2 coefficients
    assert main(["fit", "Reaction ~ Dys", raw]) == 1
    said = capsys.readouterr().err
    assert "Days" in said and "Traceback" not in said


def test_why_names_a_dataset_that_is_there(folder, capsys):
    configure(folder, {"growth": STANZA}, {"m": MODEL})
    assert main(["why", "grwth"]) == 1
    assert "no dataset 'grwth', did you mean 'growth'?" in capsys.readouterr().err
    assert main(["why", "growth"]) == 0
    assert "results: results/growth/clean.json does not exist; clean runs" in capsys.readouterr().out


def test_a_bundle_holds_the_rows_of_its_fit_and_repeats_it(tmp_path, capsys):
    columns = {"id": [1, 1, 1, 2, 2, 2], "t": [0.0, 1, 2] * 2, "y": [1.0, 2, 4, 2, 3, 3.5]}
    table = pl.DataFrame(columns | {"not_used": [0.0] * 6})
    table.write_parquet(tmp_path / "clean.parquet")
    config = {"datasets": {"d": STANZA}, "models": {"m": MODEL}}
    design = plan(load(config))["d"]["fit"]["m"]
    for name in ("a.zip", "b.zip"):
        write_bundle(tmp_path / name, str(tmp_path / "clean.parquet"), design, "why")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert pl.read_parquet(io.BytesIO(archive.read("rows.parquet"))).columns == ["id", "t", "y"]
    assert main(["replay", str(tmp_path / "a.zip")]) == 0
    said = capsys.readouterr().out
    assert "maximum likelihood" in said and "REML" in said
    assert main(["replay", str(tmp_path / "clean.parquet")]) == 1
    assert "is not an archive of a failed fit" in capsys.readouterr().err


def test_a_fit_without_an_estimate_leaves_a_bundle_and_a_good_one_takes_it_away(tmp_path, capsys):
    table = pl.DataFrame({"id": [1, 1, 2, 2, 3, 3], "t": [0.0, 1] * 3, "y": [1.0, 2, 2, 3, 2.5, 3.1]})
    parquet, audit, out = (str(tmp_path / name) for name in ("clean.parquet", "clean.json", "out.json"))
    table.write_parquet(parquet)
    write_json({"status": "ok"}, audit)
    bad = {"formula": "{response} ~ {fixed} + absent + (1 | {subject})"}
    stanza = STANZA | {"candidates": ["m", "bad"]}
    fits = plan(load({"datasets": {"d": stanza}, "models": {"m": MODEL, "bad": bad}}))
    replay = tmp_path / "logs" / "bad.replay.zip"
    fit_candidate("d", "bad", parquet, audit, fits["d"]["fit"]["bad"], "code", out, str(replay))
    *_, command = capsys.readouterr().err.splitlines()
    assert command.endswith(f' replay command="lmm replay {replay}"')
    assert main(["replay", str(replay)]) == 1
    assert read_json(out)["message"] in capsys.readouterr().err
    fit_candidate("d", "m", parquet, audit, fits["d"]["fit"]["m"], "code", out, str(replay))
    assert not replay.exists()


@pytest.mark.parametrize("failure", [MemoryError(), OSError(28, "No space left on device")])
def test_what_the_machine_prevents_is_no_result(tmp_path, monkeypatch, failure):
    import lmmstudy.fitting.candidate

    def fail(*arguments):
        raise failure

    monkeypatch.setattr(lmmstudy.fitting.candidate, "fit_table", fail)
    parquet, audit, out = (tmp_path / name for name in ("clean.parquet", "clean.json", "out.json"))
    parquet.write_bytes(b"")
    write_json({"status": "ok"}, audit)
    design = plan(load({"datasets": {"d": STANZA}, "models": {"m": MODEL}}))["d"]["fit"]["m"]
    with pytest.raises(type(failure)):
        fit_candidate("d", "m", str(parquet), str(audit), design, "code", str(out))
    assert not out.exists()


def test_help_names_every_command_and_a_closed_pipe_is_no_error():
    call = [sys.executable, "-m", "lmmstudy", "--help"]
    said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("check", "init", "fit", "run", "why", "verify", "replay", "archive"):
        assert f"    {command}" in said
