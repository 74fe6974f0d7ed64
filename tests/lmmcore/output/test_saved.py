"""Saved fits: the same results after loading, and nothing but data in the file."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmmcore as lmm
from lmmcore.errors import DataError
from tests.support.dense import simulated

CASES = {
    "random slope": ("y ~ t + (t | a)", {}),
    "nested": ("y ~ log(x) + (1 | a/b)", {"method": "ML"}),
    "serial": ("y ~ poly(t, 2) + (1 | b_id)", {"residual": lmm.Exponential("t", nugget=True)}),
    "variance": ("y ~ t * c + (1 | a)", {"variance": lmm.ByGroup("c"), "weights": "w"}),
}


@pytest.mark.parametrize("formula, options", CASES.values(), ids=CASES)
def test_round_trip(formula, options, tmp_path):
    data = simulated()
    fit = lmm.fit(formula, data, **options)
    fit.save(tmp_path / "fit.lmm")
    again = lmm.load(tmp_path / "fit.lmm")
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-10)
    assert again.beta == pytest.approx(fit.beta, rel=1e-9)
    assert again.ranef()["level"].to_list() == fit.ranef()["level"].to_list()
    ours, theirs = (f.predict(data.head(5), level="subject")["prediction"].to_list() for f in (again, fit))
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert str(again) == str(fit)


def test_equal_fits_make_equal_files(tmp_path):
    for name in ("one", "two"):
        lmm.fit("y ~ t + (1 | a)", simulated()).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("no fit")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "table")
    for name in ("text", "table"):
        with pytest.raises(lmm.DataError, match="not a saved fit"):
            lmm.load(tmp_path / name)
    with pytest.raises(lmm.DataError, match="no file"):
        lmm.load(tmp_path / "missing")


def test_a_changed_likelihood_is_noticed(tmp_path):
    path = tmp_path / "fit.lmm"
    lmm.fit("y ~ t + (1 | a)", simulated()).save(path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"lmmcore"])
    about["loglik"] += 0.01
    changed = {b"lmmcore": json.dumps(about).encode()}
    pq.write_table(pa.table(table.to_pydict()).replace_schema_metadata(changed), path)
    with pytest.raises(lmm.FitError, match="computes it differently"):
        lmm.load(path)


def test_a_file_that_is_no_fit_is_left_alone(tmp_path):
    rows = pl.DataFrame({"y": [1.0, 2.5, 3.0, 2.0], "g": ["a", "a", "b", "b"]})
    fit, path = lmm.fit("y ~ 1 + (1 | g)", rows), tmp_path / "fit.parquet"
    path.touch()
    fit.save(path)
    fit.save(path)
    assert lmm.load(path).loglik == fit.loglik
    rows.write_parquet(path)
    before = path.read_bytes()
    for content in (before, b"y,g", before[:50]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="there already and holds something else"):
            fit.save(path)
        assert path.read_bytes() == content
