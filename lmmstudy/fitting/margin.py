"""Non-inferiority: whether a difference lies on the right side of a margin."""

from collections.abc import Mapping
from typing import Any


def margin(row: Mapping[str, Any], value: float, conf_level: float) -> dict[str, Any]:
    """The test against a margin of a difference with its two-sided interval of level `conf_level`.

    A negative margin means that larger differences are better: the difference must lie above it; a positive
    one that smaller are better: it must lie below. Not inferior where the whole interval does, a one-sided
    test at (1 - conf_level) / 2, whose p is p_value.
    """
    from scipy.special import stdtr

    above = value < 0
    bound = row["conf_low"] if above else row["conf_high"]
    df = 1e300 if row["df"] is None else min(row["df"], 1e300)
    t = (row["estimate"] - value) / row["std_error"]
    met = bound > value if above else bound < value
    found = {"margin": value, "bound": bound, "met": bool(met), "above": above}
    return found | {"p_value": float(stdtr(df, -t if above else t)), "level": (1 - conf_level) / 2}
