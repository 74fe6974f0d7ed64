"""The simulated factorial data, and reference results of tests and marginal means."""

import json
from functools import cache
from pathlib import Path

import polars as pl

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = json.loads((ROOT / "tests/reference/tests_reference.json").read_text("utf-8"))
MODELS = {entry["id"]: entry for entry in REFERENCE["anova"]}
EMPTY_CELLS = "tests/reference/data/factorial_empty_cells.csv"


@cache
def factorial() -> pl.DataFrame:
    """36 subjects, factors arm, sex, visit and condition out of balance, covariates x and z."""
    return pl.read_csv(ROOT / "tests/reference/data/factorial.csv")


@cache
def fitted(formula: str, data: str = "tests/reference/data/factorial.csv") -> lmm.Fit:
    """A fit by REML; data : path from the root of the repository."""
    return lmm.fit(formula, pl.read_csv(ROOT / data))


def reference_fit(name: str) -> lmm.Fit:
    """The fit of a model of the reference results."""
    return fitted(MODELS[name]["formula"].replace("^", "**"), MODELS[name]["data"])
