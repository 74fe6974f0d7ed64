"""Covariances between visits and autocorrelations, against sums written out row by row."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from test_report_page import Page, tables
from test_report_sample import rows, study

from lmmcore import fit
from lmmcore.covariance.exponential import CAR1
from lmmcore.covariance.variance import ByGroup
from lmmstudy.report.page import assemble, render
from lmmstudy.report.series import Moments, VisitMoments
from lmmstudy.report.visits import FEW_PAIRS, autocorrelation, visit_moments

SIZE = 24


def frame(used) -> pl.DataFrame:
    return pl.DataFrame({"id": used.subject, "arm": used.group, "week": used.time, "score": used.response})


@pytest.fixture(scope="module")
def shuffled():
    """The sample's rows in no order, so that the model sorts them."""
    used = rows(SIZE)
    order = np.random.default_rng(1).permutation(used.time.size)
    pick = lambda names: tuple(names[k] for k in order)  # noqa: E731
    return replace(
        used,
        subject=pick(used.subject),
        group=pick(used.group),
        time=used.time[order],
        response=used.response[order],
    )


def written_out(used, marginal, V) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlation and SD of products by loops; V(i, j) the covariance of two rows, None for their product."""
    visits = sorted(set(used.time.tolist()))
    at = {(s, t): k for k, (s, t) in enumerate(zip(used.subject, used.time.tolist(), strict=True))}
    value = V or (lambda i, j: marginal[i] * marginal[j])
    T = len(visits)
    r, sd, n = np.full((T, T), np.nan), np.full(T, np.nan), np.zeros((T, T), dtype=int)
    for a in range(T):
        for b in range(T):
            pairs = [
                (at[s, visits[a]], at[s, visits[b]])
                for s in set(used.subject)
                if (s, visits[a]) in at and (s, visits[b]) in at
            ]
            n[a, b] = len(pairs)
            squares = sum(value(i, i) for i, _ in pairs) * sum(value(j, j) for _, j in pairs)
            r[a, b] = sum(value(i, j) for i, j in pairs) / np.sqrt(squares)
            if a == b:
                sd[a] = np.sqrt(sum(value(i, i) for i, _ in pairs) / len(pairs))
    return r, sd, n


def test_implied_and_empirical_moments_are_the_sums_written_out(shuffled):
    """The model's covariance from its estimates: 1, week with their covariance matrix, CAR(1), SDs by arm."""
    result = fit(
        "score ~ week * arm + (1 + week | id)",
        frame(shuffled),
        residual=CAR1("week", subject="id"),
        variance=ByGroup("arm"),
    )
    marginal = shuffled.response - result.augment()["fitted_population"].to_numpy()
    found = visit_moments(result.solution, shuffled, marginal)
    entries = {(r["term1"], r["term2"]): r["covariance"] for r in result.varcorr().to_dicts()}
    a, b, c = (entries[k] for k in (("Intercept", None), ("week", None), ("Intercept", "week")))
    rho, ratio = result.residual_parameters["rho"], result.residual_parameters["sd(b)/sd(a)"]
    t = shuffled.time
    sd = result.sigma * np.where(np.array(shuffled.group) == "b", ratio, 1.0)

    def V(i: int, j: int) -> float:
        between = a + c * (t[i] + t[j]) + b * t[i] * t[j]
        return between + sd[i] * sd[j] * rho ** abs(t[i] - t[j])

    for moments, value in ((found.empirical, None), (found.implied, V)):
        r, spread, n = written_out(shuffled, marginal, value)
        np.testing.assert_allclose(moments.correlation, r, rtol=1e-9)
        np.testing.assert_allclose(moments.sd, spread, rtol=1e-9)
        np.testing.assert_array_equal(found.subjects, n)
    assert found.times.tolist() == [0, 2, 4, 6, 8]


def test_rows_of_different_units_are_independent(shuffled):
    """A random intercept of id and week is a unit of its own for each row: no correlation is implied."""
    table = frame(shuffled).with_columns(pl.format("{} {}", "id", pl.col("week") // 4).alias("half"))
    result = fit("score ~ week * arm + (1 | half)", table)
    found = visit_moments(result.solution, shuffled, np.ones(shuffled.time.size))
    assert found.implied.correlation[0, 1] > 0.5  # weeks 0 and 2 share a half
    assert np.all(found.implied.correlation[:2, 2:] == 0)


def test_too_many_visits_are_not_compared(shuffled):
    result = fit("score ~ week", frame(shuffled))
    scattered = replace(shuffled, time=np.arange(shuffled.time.size, dtype=float))
    assert visit_moments(result.solution, scattered, shuffled.response) is None


def test_autocorrelation_is_the_sum_written_out(shuffled):
    residual = np.random.default_rng(2).normal(size=shuffled.time.size)
    found = autocorrelation(shuffled, residual)
    members = list(zip(shuffled.subject, shuffled.time.tolist(), residual, strict=True))
    for lag, r, n in zip(found.lag, found.correlation, found.pairs, strict=True):
        pairs = combinations(members, 2)
        products = [x * y for (s, t, x), (u, v, y) in pairs if s == u and abs(t - v) == lag]
        assert n == len(products)
        np.testing.assert_allclose(r, np.mean(products) / np.mean(residual**2), rtol=1e-12)
    assert found.lag.tolist() == [2, 4, 6, 8]
    np.testing.assert_allclose(found.limit, 1.96 / np.sqrt(found.pairs))


def test_autocorrelation_needs_whole_times_and_pairs(shuffled):
    residual = np.ones(shuffled.time.size)
    assert autocorrelation(replace(shuffled, time=shuffled.time / 4), residual) is None
    assert autocorrelation(replace(shuffled, time=np.zeros(shuffled.time.size)), residual) is None
    few = rows(FEW_PAIRS - 1)
    assert autocorrelation(few, np.ones(few.time.size)).pairs.min() >= FEW_PAIRS
    two = replace(few, subject=tuple(map(str, range(few.time.size))))
    assert autocorrelation(two, np.ones(two.time.size)) is None


def with_moments():
    """Two correlations at three visits, one of them 0.5 off with 25 subjects, and a pair nobody has."""
    nan = np.nan
    implied = np.array([[1, 0.5, nan], [0.5, 1, -0.25], [nan, -0.25, 1]])
    empirical = np.array([[1, 0.0, nan], [0.0, 1, -0.3], [nan, -0.3, 1]])
    subjects = np.array([[30, 25, 0], [25, 26, 25], [0, 25, 28]])
    sds = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    of_model, of_rows = Moments(implied, sds[0]), Moments(empirical, sds[1])
    whole = study()
    moments = VisitMoments(np.array([0.0, 2.0, 4.0]), of_model, of_rows, subjects)
    return replace(whole, fitted=replace(whole.fitted, visits=moments))


def test_visits_on_the_page():
    text = render(assemble(with_moments()))
    assert "Seen: the largest difference is −0.50, between week 0 and 2; 1 of 2 pairs differs by more" in text
    found = tables(Page(text))
    assert found["Correlations between visits"] == [
        ["0", "2", "25", "0.500", "0.000"],
        ["2", "4", "25", "−0.250", "−0.300"],
    ]
    assert found["SD at each visit"][2] == ["4", "28", "2.000", "3.000"]
    assert "implied by the model 2.000 to 2.000, of the rows 1.000 to 3.000." in text


def test_the_map_prints_each_pair_twice_on_each_side_and_colours_its_sign():
    page = Page(render(assemble(with_moments())))
    chart = next(e for e in page.all("svg") if "fig-visits-t" in e["attrs"]["aria-labelledby"])
    cells = [e for e in chart["children"] if e["tag"] == "rect"]
    assert len(cells) == 8
    colours = [e["attrs"]["class"] for e in cells]
    assert colours.count("c1 bar") == 4 and colours.count("c0 bar") == 4
    darkness = {float(e["attrs"]["fill-opacity"]) for e in cells}
    assert darkness == {0.3, 0.15, 0.0, 0.18}
    texts = [e["text"] for e in chart["children"] if e["tag"] == "text"]
    assert texts.count("0.50") == 2 and texts.count("−0.30") == 2


def test_autocorrelation_on_the_page():
    whole = study(SIZE)
    text = render(assemble(whole))
    shown = tables(Page(text))["Autocorrelation of the residuals"]
    expected = autocorrelation(whole.rows, whole.fitted.normalized)
    outside = int(np.sum(np.abs(expected.correlation) > expected.limit))
    assert [row[:2] for row in shown] == [
        [f"{lag:g}", f"{n}"] for lag, n in zip(expected.lag, expected.pairs, strict=True)
    ]
    assert f"Seen: {outside} of 4 lags" in text
