"""A streamed fit is the fit of the same rows in memory."""

from __future__ import annotations

import threading

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.formula.parse import parse
from lmmcore.model.specification import Specification
from lmmcore.runtime.threads import allowed_threads
from lmmcore.streaming import choice, source, sums
from lmmcore.streaming.prefetch import ahead
from lmmcore.streaming.rows import Absent
from lmmcore.streaming.source import Source

SAME = 1e-9
NESTED = "y ~ t + (1 | site/id)"
MODELS = [
    "y ~ t + (t | id)",
    "y ~ 1 + (1 | id)",
    "y ~ t * arm + (t | id)",
    "y ~ 0 + arm + t + (1 + t || id)",
    "log(y) ~ I(t - 2000) + C(visit) + (1 | id)",
    "y ~ t + twice + (0 + t | id)",
    NESTED,
    "y ~ arm + t + (t | site) + (1 | site:id)",
]


def trial(subjects: int = 120) -> pl.DataFrame:
    """Irregular calendar years as times, a response near 1e5, arms, missing values in several columns."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(subjects), rng.integers(1, 9, subjects))
    t = rng.uniform(2000, 2009, len(g))
    b = rng.normal(size=(subjects, 2)) * [5, 0.8]
    site = rng.normal(size=subjects // 10 + 1) * 4
    y = 1e5 + 2 * t + site[g // 10] + b[g, 0] + b[g, 1] * (t - 2004) + 2 * rng.normal(size=len(g))
    frame = pl.DataFrame(
        {
            "site": g // 10,
            "id": g,
            "name": [f"subject {number:04}" for number in g],
            "t": t,
            "twice": 2 * t,
            "visit": np.arange(len(g)) % 3,
            "arm": np.array(["placebo", "low", "high"])[g % 3],
            "y": y,
        }
    )
    lost = {"y": 0.05, "t": 0.03, "arm": 0.02, "id": 0.01}
    return frame.with_columns(
        pl.when(pl.Series(rng.random(len(g)) < share)).then(None).otherwise(pl.col(name)).alias(name)
        for name, share in lost.items()
    )


@pytest.fixture
def streamed(tmp_path, monkeypatch):
    """Fit a frame from a Parquet file that is streamed in batches of 64 rows."""
    monkeypatch.setattr(choice, "VALUES", 0)
    monkeypatch.setattr(source, "BATCH", 64)
    monkeypatch.setattr(source, "SAMPLE", 128)
    monkeypatch.setattr(sums, "WAITING", 20)

    def fit(formula, frame, row_group_size=37, **settings):
        frame.write_parquet(tmp_path / "rows.parquet", row_group_size=row_group_size)
        result = lmm.fit(formula, tmp_path / "rows.parquet", **settings)
        assert isinstance(result.solution.model.rows.y, Absent)
        return result

    return fit


def assert_close(one, other):
    """Frames with equal keys, and numbers that agree to SAME of the largest in the column."""
    assert one.columns == other.columns and len(one) == len(other)
    for name in one.columns:
        if not one[name].dtype.is_float():
            assert one[name].to_list() == other[name].to_list()
            continue
        left, right = one[name].to_numpy(), other[name].to_numpy()
        np.testing.assert_allclose(left, right, rtol=SAME, atol=SAME * np.nanmax(np.abs(left), initial=0))


def assert_same(one, other):
    assert one.loglik == pytest.approx(other.loglik, rel=SAME)
    assert one.terms == other.terms and one.dropped == other.dropped
    assert one.nobs == other.nobs and one.groups == other.groups
    assert one.rows_dropped == other.rows_dropped
    assert_close(one.varcorr(), other.varcorr())
    assert_close(one.glance(), other.glance())
    for df in ("satterthwaite", "kenward-roger"):
        assert_close(one.tidy(df=df), other.tidy(df=df))
    assert_close(one.ranef(), other.ranef())


@pytest.mark.parametrize("formula", MODELS)
def test_equal_to_the_fit_in_memory(streamed, formula):
    frame = trial()
    assert_same(lmm.fit(formula, frame), streamed(formula, frame))


@pytest.mark.parametrize("formula", ["y ~ t * arm + (t | id)", NESTED])
@pytest.mark.parametrize("row_group_size", [1, 7, 100_000])
def test_row_groups_do_not_matter(streamed, formula, row_group_size):
    frame = trial()
    assert_same(lmm.fit(formula, frame), streamed(formula, frame, row_group_size))


@pytest.mark.parametrize("formula", ["y ~ t * arm + (t | id)", NESTED])
def test_rows_in_any_order(streamed, formula):
    frame = trial().sample(fraction=1, shuffle=True, seed=3)
    assert_same(lmm.fit(formula, frame), streamed(formula, frame))


def test_subjects_named_by_text(streamed):
    frame = trial()
    fit = streamed("y ~ t + (t | name)", frame.sample(fraction=1, shuffle=True, seed=3))
    assert_same(lmm.fit("y ~ t + (t | name)", frame), fit)
    assert fit.ranef()["level"][0] == "subject 0000"


def test_maximum_likelihood_with_an_offset_and_given_categories(streamed):
    frame = trial().with_columns(start=pl.col("t") / 3)
    settings = {"method": "ML", "offset": "start", "categories": {"visit": [2, 0, 1]}}
    one = lmm.fit("y ~ t + visit + (1 | id)", frame, **settings)
    other = streamed("y ~ t + visit + (1 | id)", frame, **settings)
    assert one.terms == other.terms == ("Intercept", "t", "visit[T.0]", "visit[T.1]")
    assert one.loglik == pytest.approx(other.loglik, rel=SAME)
    assert_close(one.tidy(), other.tidy())


def test_visits_on_a_grid_share_patterns(streamed):
    frame = trial(400).with_columns(t=2000.0 + pl.int_range(pl.len()).over("id")).drop_nulls()
    assert_same(lmm.fit("y ~ t + (t | id)", frame), streamed("y ~ t + (t | id)", frame))


def test_a_level_that_the_sample_lacks(streamed, monkeypatch):
    """Levels come from all rows; the sample decides about digits only."""
    monkeypatch.setattr(source, "SAMPLE", 2)
    monkeypatch.setattr(source, "PLACES", 1)
    frame = trial().sort("arm", nulls_last=True)
    for formula in ("y ~ 0 + arm * t + (t | id)", "y ~ arm + t + (1 | id)"):
        one, other = lmm.fit(formula, frame), streamed(formula, frame, 50)
        assert one.terms == other.terms
        # Two rows centre the years and the response badly: 1e5 against an SD of 8 costs digits.
        assert one.loglik == pytest.approx(other.loglik, rel=1e-7)


def test_predictions(streamed):
    frame, new = trial(), pl.DataFrame({"id": [3, 5, 999], "t": [2001.0, 2012, 2004], "arm": ["low"] * 3})
    formula = "y ~ t * arm + (t | id)"
    one, other = lmm.fit(formula, frame), streamed(formula, frame)
    assert_close(one.predict(new, level="subject"), other.predict(new, level="subject"))
    for interval in ("mean", "observation"):
        assert_close(one.predict(new, interval=interval), other.predict(new, interval=interval))
    assert_close(one.contrast({"t": 1}), other.contrast({"t": 1}))


def test_what_needs_rows_says_so(streamed, tmp_path):
    fit = streamed("y ~ t * arm + (t | id)", trial())
    asked = [
        fit.augment,
        fit.simulate,
        lambda: fit.bootstrap(3),
        lambda: fit.save(tmp_path / "fit.parquet"),
        lambda: fit.predict(
            pl.DataFrame({"id": [3], "t": [2001.0], "arm": ["low"]}), "subject", "observation"
        ),
    ]
    for ask in asked:
        with pytest.raises(lmm.FitError, match="streamed from 'rows.parquet' and kept no rows"):
            ask()


def test_nothing_left(streamed):
    frame = trial().with_columns(y=None).cast({"y": pl.Float64})
    with pytest.raises(lmm.DataError) as told:
        lmm.fit("y ~ t + (t | id)", frame)
    with pytest.raises(lmm.DataError) as also:
        streamed("y ~ t + (t | id)", frame)
    assert str(told.value) == str(also.value)


def test_an_infinite_value_is_found_in_its_row(streamed):
    frame = trial().with_columns(y=pl.when(pl.int_range(pl.len()) == 200).then(np.inf).otherwise(pl.col("y")))
    with pytest.raises(lmm.DataError, match="'y' is infinite in row 201 of the data"):
        streamed("y ~ t + (t | id)", frame)


def specification(formula, **settings):
    given = {"residual": None, "variance": None, "weights": None, "offset": None, "categories": None}
    return Specification(parse(formula), "REML", **(given | settings))


@pytest.mark.parametrize(
    "spec",
    [
        specification("y ~ t + (t | id)", residual=lmm.AR1("t")),
        specification("y ~ t + (t | id)", weights="w"),
        specification("y ~ scale(t) + (1 | id)"),
        specification("y ~ poly(t, 2) + (1 | id)"),
        specification("y ~ t + (1 | site) + (1 | id)"),
        specification("y ~ visit + C(visit) + (1 | id)"),
    ],
)
def test_models_that_are_loaded(spec):
    assert not choice.streamable(spec)


def test_small_files_are_loaded(tmp_path):
    trial().write_parquet(tmp_path / "rows.parquet")
    assert len(lmm.fit("y ~ t + (t | id)", tmp_path / "rows.parquet").augment()) > 400


def test_memory_does_not_hold_the_file(tmp_path):
    """The reader lets go of what it has read: 40 MB pass through, a few MB stay allocated at a time."""
    import pyarrow as pa

    rng = np.random.default_rng(1)
    n = 2_000_000
    frame = pl.DataFrame({"id": np.arange(n) // 10, "t": rng.random(n), "y": rng.random(n)})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=100_000)
    most = 0
    for _ in Source(tmp_path / "rows.parquet", ["t", "y"], ["id"], {}, n).batches():
        most = max(most, pa.total_allocated_bytes())
    assert most < 20e6


def parts(asked, of=4):
    for number in range(of):
        asked[number].set()
        yield number
    raise OSError("the file ends early")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_parts_read_ahead_keep_their_order_and_their_errors(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    asked, seen = [threading.Event() for _ in range(4)], []
    with pytest.raises(OSError, match="ends early"):
        seen.extend(ahead(parts(asked)))
    assert seen == [0, 1, 2, 3] and all(event.is_set() for event in asked)


@pytest.mark.skipif(allowed_threads() < 2, reason="there is one processor, or OMP_NUM_THREADS is 1")
def test_the_next_part_is_read_while_this_one_is_in_use(monkeypatch):
    asked = [threading.Event() for _ in range(4)]
    coming = ahead(parts(asked))
    assert next(coming) == 0
    assert asked[1].wait(timeout=600)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = [threading.Event() for _ in range(4)]
    assert next(ahead(parts(alone))) == 0
    assert not alone[1].wait(timeout=0.1)


def test_threads_change_no_byte(streamed, monkeypatch):
    written = set()
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        fit = streamed("y ~ t * arm + (t | id)", trial())
        written.add(repr((fit.loglik, fit.beta, fit.se)))
    assert len(written) == 1
