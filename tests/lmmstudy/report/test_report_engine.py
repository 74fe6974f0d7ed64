"""The whole way from a raw file to the page, with the engine: what the refit hands to the charts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_report_page import Page, close, tables
from test_report_sample import rows

from lmmstudy.clean.clean import clean_file
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.candidate import fit_candidate
from lmmstudy.fitting.selection import select_model
from lmmstudy.report.page import write_dataset
from lmmstudy.report.refit import curves
from lmmstudy.report.refit import refit as results
from lmmstudy.report.refit.rows import rows as rows_of

MODELS = {
    "random_intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
    "random_slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"},
    "ar1": {"formula": "{response} ~ {fixed}", "residual": {"type": "ar1"}},
}
DESIGN = {
    "path": "trial.csv",
    "subject": "id",
    "time": "week",
    "response": "score",
    "fixed": "week * arm",
    "group": "arm",
    "categories": {"arm": ["b", "a"]},
    "candidates": list(MODELS),
}


def write(folder: Path, frame: pl.DataFrame | None) -> str:
    """Run every step for one dataset (None: the raw file is missing) and give the text of its page."""
    config = load({"datasets": {"trial": DESIGN}, "models": MODELS})
    jobs = plan(config)["trial"]
    raw = None
    if frame is not None:
        raw = str(folder / "trial.csv")
        frame.write_csv(raw)
    clean, audit, selection = (
        str(folder / name) for name in ("clean.parquet", "clean.json", "selection.json")
    )
    clean_file("trial", raw, jobs["clean"], "c", clean, audit)
    records = [str(folder / f"{model}.json") for model in MODELS]
    for model, record in zip(MODELS, records, strict=True):
        fit_candidate("trial", model, clean, audit, jobs["fit"][model], "c", record)
    select_model("trial", clean, audit, records, jobs["select"], "c", selection)
    out = folder / "trial.html"
    write_dataset("trial", audit, clean, records, selection, jobs["report"], config["report"], "r", str(out))
    return out.read_text(encoding="utf-8")


def trial() -> pl.DataFrame:
    data = rows(24, 5)
    return pl.DataFrame({"id": data.subject, "arm": data.group, "week": data.time, "score": data.response})


def test_a_raw_file_becomes_a_page_with_the_record_s_numbers(tmp_path):
    text = write(tmp_path, trial())
    found = tables(Page(text))
    chosen = json.loads((tmp_path / "selection.json").read_text())["selected"]
    record = json.loads((tmp_path / f"{chosen}.json").read_text())
    for shown, row in zip(found["Fixed effects (REML)"], record["fixed"], strict=True):
        assert (
            shown[0] == row["term"] and close(shown[1], row["estimate"]) and close(shown[2], row["std_error"])
        )
    assert "could not be fitted again" not in text and "fig-quantiles" in text and "fig-subjects" in text
    assert found["Coding of categories"] == [["arm", "b, a", "b"]]


@pytest.fixture()
def refitted(tmp_path):
    write(tmp_path, trial())
    frame = pl.read_parquet(tmp_path / "clean.parquet")
    record = json.loads((tmp_path / "random_slope.json").read_text())
    return frame, record, results.refit(str(tmp_path / "clean.parquet"), frame, record, DESIGN, 0.95)


def test_the_refit_is_in_the_order_of_the_rows(refitted):
    frame, record, fit = refitted
    beta = {row["term"]: row["estimate"] for row in record["fixed"]}
    a = (frame["arm"] == "a").to_numpy()
    week = frame["week"].to_numpy()
    mean = beta["Intercept"] + beta["week"] * week + a * (beta["arm[T.a]"] + beta["week:arm[T.a]"] * week)
    np.testing.assert_allclose(fit.population, mean, rtol=1e-9)
    score, first = frame["score"].to_numpy(), np.flatnonzero(frame["week"] == 0)
    np.testing.assert_allclose(fit.pearson, (score - fit.fitted) / record["sigma"], rtol=1e-6)
    # The Cholesky factor leaves the first row of a subject alone but for its own marginal SD.
    variance = {(row["term1"], row["term2"]): row["covariance"] for row in record["random"] if row["term1"]}
    marginal = np.sqrt(variance["Intercept", None] + record["sigma"] ** 2)
    np.testing.assert_allclose(fit.normalized[first], (score - mean)[first] / marginal, rtol=1e-6)
    assert fit.rows.groups == ("b", "a")


def test_curves_are_the_population_line_and_hold_it(refitted):
    frame, record, fit = refitted
    beta = {row["term"]: row["estimate"] for row in record["fixed"]}
    curve = fit.curves[0]
    assert curve.group == "b"
    np.testing.assert_allclose(curve.mean, beta["Intercept"] + beta["week"] * curve.x, rtol=1e-9)
    start = next(row for row in record["fixed"] if row["term"] == "Intercept")
    np.testing.assert_allclose(
        [curve.low[0], curve.high[0]], [start["conf_low"], start["conf_high"]], rtol=1e-6
    )


def test_random_effects_are_those_of_each_subject(refitted):
    frame, _, fit = refitted
    assert {e.level for e in fit.effects} == set(frame["id"].to_list())
    own = {(e.level, e.term): e.estimate for e in fit.effects}
    last = frame.with_row_index().filter(pl.col("id") == "P001")["index"].to_list()[-1]
    expected = own["P001", "Intercept"] + own["P001", "week"] * frame["week"][last]
    np.testing.assert_allclose(fit.fitted[last] - fit.population[last], expected, rtol=1e-6)


def test_a_covariate_that_moves_with_time_is_averaged_over_its_rows(refitted):
    frame, record, _ = refitted
    moving = frame.with_columns(dose=pl.col("week") * 0.5 + pl.col("id").rank("dense"))
    design = DESIGN | {"fixed": "week * arm + dose"}
    assert curves.varying(moving, design) == ("dose",)
    steady = frame.with_columns(dose=pl.col("id").rank("dense").cast(float))
    assert curves.varying(steady, design) == ()
    week = moving["week"].to_numpy()
    kinds = {
        "square": (week**2, True),
        "name": ([f"visit {w:g}" for w in week], True),
        "stress": (np.random.default_rng(5).normal(size=week.size), False),
        "side": (["left", "right"] * (week.size // 2), False),
    }
    for name, (column, with_time) in kinds.items():
        other = frame.with_columns(pl.Series(name, column))
        found = curves.varying(other, DESIGN | {"fixed": f"week * arm + {name}"})
        assert found == ((name,) if with_time else ()), name
    base, held = curves.reference(steady, design)
    assert base["dose"] == pytest.approx(steady["dose"].mean()) and held[0][0] == "dose"
    population = np.arange(frame.height, dtype=float)
    used = rows_of(frame, DESIGN)
    curve = next(c for c in curves.averages(used, population) if c.group == "a")
    at = ((frame["arm"] == "a") & (frame["week"] == 4)).to_numpy()
    assert curve.mean[list(curve.x).index(4.0)] == population[at].mean() and curve.low is None


def test_the_pen_is_lifted_at_a_missed_visit():
    frame = trial().filter(~((pl.col("id") == "P001") & (pl.col("week") == 4)))
    lines = results.profiles(rows_of(frame.sample(fraction=1.0, shuffle=True, seed=1), DESIGN))
    first = next(p for p in lines if p.subject == "P001")
    assert first.x.tolist() == [0, 2, 6, 8] and first.joined.tolist() == [True, True, False, True]
    assert [p.group for p in lines] == ["b"] * 12 + ["a"] * 12


def test_a_missing_raw_file_still_gives_a_page(tmp_path):
    assert "there is no file trial.csv" in write(tmp_path, None)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(2)>", "</script><script>alert(1)</script>", "患者"]
)
def test_awkward_ids_travel_from_the_file_to_the_page(tmp_path, name):
    frame = trial().with_columns(id=pl.col("id").replace("P001", name))
    text = write(tmp_path, frame)
    assert text.count(name) == 0 if "<" in name else text.count(name) > 3
    assert any(e["text"] == name for e in Page(text).all("th", "option"))
