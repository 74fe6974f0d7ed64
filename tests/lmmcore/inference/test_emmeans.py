"""Estimated marginal means, slopes and comparisons of them, against emmeans.

The reference results come from tests/reference/tests_of_fixed_effects.R (R 4.2.2, emmeans 1.8.4-1,
lmerTest 3.1-3, pbkrtest 0.5.2).
"""

import numpy as np
import pytest

from lmmcore.inference.emmeans.means import emmeans, slopes
from tests.support.factorial import REFERENCE, reference_fit


def listed(names):
    return [names] if isinstance(names, str) else names or []


def value(x):
    return x if isinstance(x, str) else float(x)


def agree(ours, theirs, names):
    for name in names:
        expected = theirs[name]
        if expected is None:  # R's NA, and its Inf for degrees of freedom
            assert np.isinf(ours[name]) if name == "df" else np.isnan(ours[name]), name
        elif name == "p_value":
            assert ours[name] == pytest.approx(expected, abs=1e-6)
        elif name == "df":
            assert ours[name] == pytest.approx(expected, rel=1e-4)
        else:
            assert ours[name] == pytest.approx(expected, abs=1e-6 * (1 + abs(expected)))


def sides(contrast, name):
    """The two cells of a difference, written as R writes them: "(a, v1) - (b, v1)" is "a v1 - b v1"."""
    return (
        contrast.replace("(", "").replace(")", "").replace(", ", " ").replace(f"{name} ", name).split(" - ")
    )


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "asymptotic"])
@pytest.mark.parametrize("asked", REFERENCE["means"], ids=lambda asked: asked["id"])
def test_against_emmeans(asked, df):
    solution, specs, by = reference_fit(asked["of"]).solution, listed(asked["specs"]), listed(asked["by"])
    arguments = {"by": asked["by"], "at": asked["at"], "df": df}
    if asked["slope"]:
        grid = slopes(solution, asked["slope"], specs, **arguments)
    else:
        grid = emmeans(solution, specs, **arguments)
    (expected,) = [result for result in asked["results"] if result["df"] == df]

    ours = {tuple(row[n] for n in [*by, *specs]): row for row in grid.frame().iter_rows(named=True)}
    assert len(ours) == len(expected["means"])
    for row in expected["means"]:
        cell = tuple(value(row[n]) for n in [*by, *specs])
        names = ("estimate", "std_error", "df", "conf_low", "conf_high")
        agree(ours[cell], row, names[:2] if row["estimate"] is None else names)

    compared = grid.contrast(asked["compare"], asked["adjust"]).frame()
    found = {}
    for row in compared.iter_rows(named=True):
        found[(*(row[n] for n in by), *sides(row["contrast"], specs[0]))] = row
    assert len(found) == len(expected["comparisons"])
    for row in expected["comparisons"]:
        family = tuple(value(row[n]) for n in by)
        first, second = row["contrast"].split(" - ")
        reverse = (*family, first, second) not in found
        mine = found[(*family, second, first) if reverse else (*family, first, second)]
        if reverse:  # the cells of two factors come in another order in R
            turned = {
                "estimate": -mine["estimate"],
                "conf_low": -mine["conf_high"],
                "conf_high": -mine["conf_low"],
            }
            mine = mine | turned | {"statistic": -mine["statistic"]}
        if row["estimate"] is None:
            assert np.isnan(mine["estimate"])
            continue
        names = ["estimate", "std_error", "df", "statistic"]
        # With one missing, R counts it into the family, and rounds df to whole numbers (a zapsmall with Inf).
        if all(other["estimate"] is not None for other in expected["comparisons"]):
            names += ["p_value", "conf_low", "conf_high"]
        agree(mine, row, names)
