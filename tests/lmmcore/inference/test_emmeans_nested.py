"""Marginal means with nested factors, and weights of the levels averaged over.

Compared with R 4.2.2, emmeans 1.8.4-1 (nesting as found there; weights = "equal", "proportional", "flat") on
164 random designs of two crossed and one nested factor with empty cells: the means agree but where R leaves a
mean of weights "flat" out, as one level of an outer factor has no rows in the cell (2 designs), and in one
design of 13 rows, whose values differ for a reason that was not traced.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm


def trial(seed=6, subjects=36):
    """Countries A, B, C in region R1, D, E in R2, by visits; rows unequal, cell (A, v3) empty."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(subjects), 3)
    country = np.array(list("ABCDE"))[ids % 5]
    visit = np.tile(["v1", "v2", "v3"], subjects)
    y = rng.normal(size=subjects)[ids] + rng.normal(size=len(ids)) + (country > "B") + 2.0 * (visit == "v2")
    frame = pl.DataFrame({"y": y, "id": ids, "country": country, "visit": visit})
    frame = frame.with_columns(
        region=pl.when(pl.col("country") < "D").then(pl.lit("R1")).otherwise(pl.lit("R2"))
    )
    gone = pl.Series(rng.random(frame.height) < 0.25) | (
        (pl.col("country") == "A") & (pl.col("visit") == "v3")
    )
    return frame.filter(~gone)


def estimates(grid, *names):
    return {row[:-1]: row[-1] for row in grid.frame().select(*names, "estimate").iter_rows()}


def test_found_from_the_data():
    """Country by region: five cells, each what it is without region in the model."""
    frame = trial()
    fit = lmm.fit("y ~ region + country + visit + (1 | id)", frame)
    plain = estimates(lmm.fit("y ~ country + visit + (1 | id)", frame).emmeans("country"), "country")
    grid = fit.emmeans("country")
    found = estimates(grid, "region", "country")
    assert list(found) == [("R1", "A"), ("R1", "B"), ("R1", "C"), ("R2", "D"), ("R2", "E")]
    assert [found[cell] for cell in found] == pytest.approx([plain[cell[1:]] for cell in found])
    assert "country within region (nested)" in grid.sentence
    # A region is the mean of its own countries; a visit that of the regions.
    regions = estimates(fit.emmeans("region"), "region")
    assert regions[("R1",)] == pytest.approx(np.mean([plain[(of,)] for of in "ABC"]))
    assert regions[("R2",)] == pytest.approx(np.mean([plain[(of,)] for of in "DE"]))
    visits = estimates(fit.emmeans("visit"), "visit")
    b = fit.contrast({"visit[T.v2]": 1})["estimate"][0]
    assert visits[("v2",)] - visits[("v1",)] == pytest.approx(b)
    assert np.mean(list(visits.values())) == pytest.approx(np.mean(list(regions.values())))
    assert len(fit.emmeans("country", by="region").pairs().frame()) == 4
    assert len(grid.pairs().frame()) == 10
    # Without nesting: ten cells, of which the data determine five.
    free = fit.emmeans("country", by="region", nesting={})
    assert np.isfinite(free.frame()["estimate"].to_numpy()).sum() == 5 and free.frame().height == 10


def test_given_and_from_the_formula():
    """Doses that re-use labels: within a drug by nesting=, or as the formula says by drug / dose."""
    frame = trial().with_columns(
        drug=pl.col("country").replace_strict(dict(zip("ABCDE", "ppqqq", strict=True)))
    )
    frame = frame.with_columns(
        dose=pl.col("country").replace_strict(dict(zip("ABCDE", "12123", strict=True)))
    )
    written = lmm.fit("y ~ drug / dose + (1 | id)", frame).emmeans("dose")
    given = lmm.fit("y ~ drug * dose + (1 | id)", frame).emmeans("dose", nesting={"dose": "drug"})
    cells = [("p", "1"), ("p", "2"), ("q", "1"), ("q", "2"), ("q", "3")]
    expected = estimates(lmm.fit("y ~ country + (1 | id)", frame).emmeans("country"), "country")
    for grid in (written, given):
        found = estimates(grid, "drug", "dose")
        assert list(found) == cells
        assert list(found.values()) == pytest.approx(list(expected.values()))
    with pytest.raises(lmm.LmmError, match="nesting names 'id', but must name categories"):
        lmm.fit("y ~ drug * dose + (1 | id)", frame).emmeans("dose", nesting={"dose": "id"})


@pytest.mark.parametrize("weights", ["equal", "proportional", "flat"])
def test_weights_by_hand(weights):
    """Means of cells, averaged over visits by hand."""
    frame = trial()
    fit = lmm.fit("y ~ country * visit + (1 | id)", frame)
    cells = estimates(fit.emmeans(["country", "visit"]), "country", "visit")
    rows = dict(frame.group_by("visit").len().iter_rows())
    seen = dict(((c, v), n) for c, v, n in frame.group_by("country", "visit").len().iter_rows())
    grid = fit.emmeans("country", weights=weights)
    for (country,), value in estimates(grid, "country").items():
        share = {
            "equal": lambda v: 1.0,
            "proportional": lambda v: rows[v],
            "flat": lambda v, c=country: float((c, v) in seen),
        }[weights]
        pairs = [(share(v), cells[(country, v)]) for v in ("v1", "v2", "v3") if share(v)]
        expected = sum(w * of for w, of in pairs) / sum(w for w, _ in pairs)
        assert value == pytest.approx(expected, nan_ok=True)
    assert np.isnan(estimates(grid, "country")[("A",)]) == (weights != "flat")
    words = {
        "equal": "equal weights over the levels of visit",
        "proportional": "numbers of rows",
        "flat": "have rows",
    }
    assert words[weights] in grid.sentence
    with pytest.raises(lmm.ArgumentError, match="weights is 'outer'"):
        fit.emmeans("country", weights="outer")
