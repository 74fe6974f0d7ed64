"""Ladder and choice, on records and tests written by hand."""

import math

import pytest

from lmmstudy.fitting.selection import choose, ladder


def record(model: str, npar: int, loglik: float, status: str = "ok") -> dict:
    deviance = -2 * loglik
    values = {"npar": npar, "loglik": loglik, "deviance": deviance, "nobs": 100}
    values |= {"aic": deviance + 2 * npar, "bic": deviance + math.log(100) * npar}
    values["aicc"] = values["aic"] + 2 * npar * (npar + 1) / (100 - npar - 1)
    ml = values if status in ("ok", "singular") else None
    return {"model": model, "formula": "y ~ t", "status": status, "message": "m", "ml": ml}


def lr_test(null: str, alternative: str, p: float) -> dict:
    return {"null": null, "alternative": alternative, "p_value": p}


CANDIDATES = [
    record("slope", 6, -100.0),
    record("broken", 4, 0.0, status="error"),
    record("intercept", 4, -103.0, status="singular"),
    record("serial", 5, -101.5),
]


def test_ladder_orders_by_the_criterion_and_keeps_failures_last():
    entries = ladder(CANDIDATES, "aic")
    # AIC: slope 212, serial 213, intercept 214
    assert [entry["model"] for entry in entries] == ["slope", "serial", "intercept", "broken"]
    assert [entry["delta"] for entry in entries] == [0.0, 1.0, 2.0, None]
    # exp(-delta / 2) = 1, 0.60653, 0.36788; their sum is 1.97441
    assert [entry["weight"] for entry in entries[:3]] == pytest.approx([0.50648, 0.30720, 0.18632], abs=1e-5)
    assert entries[3]["loglik"] is None and entries[3]["message"] == "m"


def test_criteria_can_disagree():
    # BIC = deviance + 4.60517 npar: slope 227.63, serial 226.03, intercept 224.42
    assert choose(ladder(CANDIDATES, "aic"), [], "aic", 0.05) == "slope"
    assert choose(ladder(CANDIDATES, "bic"), [], "bic", 0.05) == "intercept"


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        # intercept -> serial -> slope, each nested in the next
        ({("intercept", "serial"): 0.2, ("intercept", "slope"): 0.2}, "intercept"),
        ({("intercept", "serial"): 0.01, ("serial", "slope"): 0.2}, "serial"),
        ({("intercept", "serial"): 0.01, ("serial", "slope"): 0.01}, "slope"),
        # a step may be skipped
        ({("intercept", "serial"): 0.2, ("intercept", "slope"): 0.01}, "slope"),
        # slope is not a larger version of serial: the walk stays
        ({("intercept", "serial"): 0.01, ("intercept", "slope"): 0.01}, "serial"),
        # p equal to alpha does not move
        ({("intercept", "serial"): 0.05}, "intercept"),
    ],
)
def test_walk_by_likelihood_ratio_tests(p_values, expected):
    tests = [lr_test(null, alternative, p) for (null, alternative), p in p_values.items()]
    assert choose(ladder(CANDIDATES, "lrt"), tests, "lrt", 0.05) == expected


def test_a_test_without_a_p_value_moves_nothing():
    tests = [lr_test("intercept", "serial", None), lr_test("intercept", "slope", 0.2)]
    assert choose(ladder(CANDIDATES, "lrt"), tests, "lrt", 0.05) == "intercept"


def test_walk_takes_the_likelier_of_two_models_of_one_size_first():
    candidates = [record("a", 4, -110.0), record("b", 5, -105.0), record("c", 5, -101.0)]
    tests = [lr_test("a", "b", 0.01), lr_test("a", "c", 0.001)]
    assert choose(ladder(candidates, "lrt"), tests, "lrt", 0.05) == "c"


def test_an_undefined_criterion_comes_after_the_defined_ones():
    crowded = record("crowded", 9, -90.0)
    crowded["ml"] |= {"aicc": None}
    entries = ladder([crowded, record("intercept", 4, -103.0)], "aicc")
    assert [entry["model"] for entry in entries] == ["intercept", "crowded"]
    assert entries[0]["weight"] == 1.0 and entries[1]["weight"] is None


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_models_that_say_the_same_stay_in_the_order_of_the_configuration(criterion):
    """AR(1) and exponential at whole times differ by rounding, on every machine otherwise."""
    for noise in (-3e-10, 0.0, 3e-10):
        same = [record("first", 5, -100.0), record("second", 5, -100.0 + noise), record("better", 5, -90.0)]
        assert [step["model"] for step in ladder(same, criterion)] == ["better", "first", "second"]
