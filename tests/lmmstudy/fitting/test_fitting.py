"""One candidate to one record: published numbers for a good one, a sentence for each bad one."""

import json
from pathlib import Path

import polars as pl
import pytest

from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import fit_candidate
from lmmstudy.fitting.selection import select_model

ROOT = Path(__file__).resolve().parents[3]
MODELS = {
    "intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
    "slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"},
    "ar1": {"formula": "{response} ~ {fixed}", "residual": {"type": "ar1"}},
    "unstructured": {"formula": "{response} ~ {fixed}", "residual": {"type": "unstructured"}},
    "by_name": {"formula": "{response} ~ {fixed}", "residual": {"type": "unstructured", "time": "visit"}},
    "in_order": {"formula": "{response} ~ {fixed}", "residual": {"type": "unstructured", "time": "when"}},
    "toeplitz": {"formula": "{response} ~ {fixed}", "residual": {"type": "toeplitz"}},
    "compound_symmetry": {"formula": "{response} ~ {fixed}", "residual": {"type": "compound_symmetry"}},
    "by_sex": {
        "formula": "{response} ~ {fixed} + (1 | {subject})",
        "variance": {"type": "by_group", "column": "{group}"},
    },
    "unknown": {"formula": "{response} ~ {fixed} + (1 | {subject}) + absent"},
    "misspelt": {"formula": "{response} ~ {fixed} + (1 | {subject}"},
}
SLEEP = {
    "path": "data/raw/sleepstudy.csv",
    "subject": "Subject",
    "time": "Days",
    "response": "Reaction",
    "fixed": "Days",
    "candidates": ["intercept", "slope", "ar1"],
}


def study(folder: Path, stanza: dict, raw: Path | None = None) -> tuple[dict[str, dict], dict]:
    """Records by model, and the selection, of a dataset taken through clean, fit and select."""
    jobs = plan(load({"datasets": {"d": stanza}, "models": MODELS}))["d"]
    parquet, audit = str(folder / "clean.parquet"), str(folder / "clean.json")
    clean_file("d", str(raw or ROOT / stanza["path"]), jobs["clean"], "code", parquet, audit)
    paths = {}
    for model, design in jobs["fit"].items():
        paths[model] = str(folder / f"{model}.json")
        fit_candidate("d", model, parquet, audit, design, "code", paths[model])
    out = str(folder / "selection.json")
    select_model("d", parquet, audit, list(paths.values()), jobs["select"], "code", out)
    records = {model: json.loads(Path(path).read_text()) for model, path in paths.items()}
    return records, json.loads(Path(out).read_text())


@pytest.fixture(scope="module")
def sleepstudy(tmp_path_factory):
    return study(tmp_path_factory.mktemp("sleepstudy"), SLEEP)


def test_record_holds_the_published_fit_of_sleepstudy(sleepstudy):
    """Bates, Maechler, Bolker and Walker, Journal of Statistical Software 67(1), 2015, section 5."""
    record = sleepstudy[0]["slope"]
    assert record["status"] == "ok" and record["formula"] == "Reaction ~ Days + (1 + Days | Subject)"
    assert record["reml"]["deviance"] == pytest.approx(1743.6283, abs=5e-4)
    assert record["ml"]["deviance"] == pytest.approx(1751.9393, abs=5e-4)
    assert (record["ml"]["npar"], record["ml"]["nobs"]) == (6, 180)
    estimates = {row["term"]: row for row in record["fixed"]}
    assert estimates["Intercept"]["estimate"] == pytest.approx(251.405, abs=1e-3)
    assert estimates["Days"]["std_error"] == pytest.approx(1.546, abs=1e-3)
    spread = {(r["group"], r["term1"]): r["sd"] for r in record["random"] if r["term2"] is None}
    assert spread[("Subject", "Days")] == pytest.approx(5.922, abs=2e-3)
    assert record["sigma"] == pytest.approx(25.592, abs=2e-3)
    assert record["groups"] == {"Subject": 18} and record["residual_structure"] is None
    assert record["certificate"]["converged"] is True


def test_record_of_a_residual_structure(sleepstudy):
    record = sleepstudy[0]["ar1"]
    structure = {"type": "ar1", "time": "Days", "subject": "Subject", "nugget": False}
    assert record["residual_structure"] == structure and record["variance"] is None
    assert record["dropped"] == []
    assert 0 < record["residual_parameters"]["rho"] < 1


def test_residual_structures_of_the_dental_growth_data(tmp_path):
    """Minus twice the ML log-likelihoods of Verbeke and Molenberghs, Linear Mixed Models for Longitudinal
    Data, 2000, chapter 17 (growth data): models 2 (unstructured), 4 (Toeplitz), 7 (compound symmetry)."""
    stanza = {"path": "data/raw/orthodont.csv", "subject": "Subject", "time": "age", "response": "distance"}
    stanza |= {"fixed": "age * Sex", "group": "Sex", "categories": {"Sex": ["Male", "Female"]}}
    candidates = ["unstructured", "toeplitz", "compound_symmetry", "by_sex"]
    records, selection = study(tmp_path, stanza | {"candidates": candidates})
    published = {"unstructured": (419.477, 14), "toeplitz": (424.643, 8), "compound_symmetry": (428.639, 6)}
    for name, (deviance, parameters) in published.items():
        assert records[name]["ml"]["deviance"] == pytest.approx(deviance, abs=1e-3)
        assert records[name]["ml"]["npar"] == parameters
    assert "cor(8,10)" in records["unstructured"]["residual_parameters"]
    assert records["by_sex"]["variance"] == {"type": "by_group", "column": "Sex"}
    assert list(records["by_sex"]["residual_parameters"]) == ["sd(Female)/sd(Male)"]
    # Toeplitz is nested in the unstructured covariance.
    tests = {(t["null"], t["alternative"]): t for t in selection["tests"]}
    against = tests["toeplitz", "unstructured"]
    assert against["statistic"] == pytest.approx(424.643 - 419.477, abs=2e-3) and against["df"] == 6


def test_visits_by_name_in_a_study(tmp_path):
    """Four visits of the growth data by name: the model is that of the ages, the record says the order."""
    growth = pl.read_csv(ROOT / "data/raw/orthodont.csv")
    growth = growth.with_columns(visit=pl.format("Year {}", "age"), when=pl.format("{}", "age"))
    raw = tmp_path / "growth.csv"
    growth.with_columns(pl.col("when").replace({"8": "entry"})).write_csv(raw)
    stanza = {"path": "growth.csv", "subject": "Subject", "time": "age", "response": "distance"}
    stanza |= {"fixed": "age * Sex", "candidates": ["unstructured", "by_name", "in_order"]}
    stanza["categories"] = {"when": ["entry", "10", "12", "14"]}
    records, _ = study(tmp_path, stanza, raw)
    for name in ("by_name", "in_order"):
        assert records[name]["reml"]["loglik"] == pytest.approx(records["unstructured"]["reml"]["loglik"])
    assert records["by_name"]["visits"]["labels"] == ["Year 8", "Year 10", "Year 12", "Year 14"]
    assert records["in_order"]["visits"]["labels"] == ["entry", "10", "12", "14"]
    assert "cor(Year 8,Year 10)" in records["by_name"]["residual_parameters"]
    assert "visits" not in records["unstructured"]


def test_dropped_fixed_effects_are_recorded(tmp_path):
    stanza = SLEEP | {"fixed": "Days + I(2*Days)", "candidates": ["intercept"]}
    records, _ = study(tmp_path, stanza)
    assert records["intercept"]["dropped"] == ["I(2 * Days)"]
    assert [row["term"] for row in records["intercept"]["fixed"]] == ["Intercept", "Days"]


def test_selection_of_sleepstudy(sleepstudy):
    """The likelihood ratio of the random slope is 42.139 on 2 df, as lme4's anova prints; the AICs are
    those of nlme 3.1 (gls with corAR1 and lme, method "ML")."""
    _, selection = sleepstudy
    assert (selection["status"], selection["selected"]) == ("ok", "ar1")
    aic = {entry["model"]: entry["aic"] for entry in selection["ladder"]}
    assert aic["ar1"] == pytest.approx(1756.114, abs=1e-3)
    assert aic["slope"] == pytest.approx(1763.939, abs=1e-3)
    tests = {(t["null"], t["alternative"]): t for t in selection["tests"]}
    slope = tests[("intercept", "slope")]
    assert slope["statistic"] == pytest.approx(42.139, abs=1e-3)
    assert slope["p_value_naive"] == pytest.approx(7.072e-10, rel=1e-2)
    assert slope["p_value"] < slope["p_value_naive"]


def test_a_candidate_that_cannot_be_fitted_says_why(tmp_path):
    stanza = SLEEP | {"candidates": ["intercept", "misspelt"]}
    records, selection = study(tmp_path, stanza)
    assert records["misspelt"]["status"] == "not_applicable"
    assert records["misspelt"]["ml"] is None and records["misspelt"]["fixed"] == []
    assert "\n" not in records["misspelt"]["message"]
    assert selection["selected"] == "intercept"


def test_a_column_of_the_stanza_that_the_file_lacks_stops_the_dataset(tmp_path):
    stanza = SLEEP | {"fixed": "Days + absent", "candidates": ["intercept", "unknown"]}
    records, selection = study(tmp_path, stanza)
    assert {record["status"] for record in records.values()} == {"not_applicable"}
    assert selection["status"] == "failed" and "no column 'absent'" in selection["message"]


def test_a_variance_of_zero_is_singular_and_still_competes(tmp_path):
    """The subjects' means are equal, so nothing is left for the random intercept."""
    raw = tmp_path / "raw.csv"
    rows = [f"{subject},{t},{t + 1 + (subject + t) % 2}" for subject in range(6) for t in range(4)]
    raw.write_text("id,t,y\n" + "\n".join(rows) + "\n")
    stanza = {"path": "raw.csv", "subject": "id", "time": "t", "response": "y", "fixed": "t"}
    records, selection = study(tmp_path, stanza | {"candidates": ["intercept"]}, raw)
    record = records["intercept"]
    assert record["status"] == "singular", record["message"]
    assert record["certificate"]["boundary"]
    assert selection["selected"] == "intercept"


def test_an_unexpected_failure_is_recorded_and_traced(tmp_path, capsys, monkeypatch):
    import lmmstudy.fitting.candidate

    def broken(*arguments):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(lmmstudy.fitting.candidate, "fit_table", broken)
    jobs = plan(load({"datasets": {"d": SLEEP}, "models": MODELS}))["d"]
    parquet, audit, out = (str(tmp_path / n) for n in ("clean.parquet", "clean.json", "out.json"))
    clean_file("d", str(ROOT / SLEEP["path"]), jobs["clean"], "code", parquet, audit)
    fit_candidate("d", "slope", parquet, audit, jobs["fit"]["slope"], "code", out)
    record = json.loads(Path(out).read_text())
    assert record["status"] == "error"
    assert record["message"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err
