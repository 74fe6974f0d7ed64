"""Fits that the tests of components and profiles share, by the entries of tests/reference."""

import json
from functools import cache
from pathlib import Path

import polars as pl

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = json.loads((ROOT / "tests/reference/intervals_reference.json").read_text("utf-8"))
STRUCTURES = {
    "ar1": lmm.AR1,
    "car1": lmm.CAR1,
    "exponential": lmm.Exponential,
    "compound_symmetry": lmm.CompoundSymmetry,
}
DATA = "tests/reference/data"
ORTHODONT = ("data/raw/orthodont.csv", "distance ~ age * Sex")
# Every kind of covariance parameter once.
KINDS = {
    "slope": ("data/raw/sleepstudy.csv", "Reaction ~ Days + (Days | Subject)", {}),
    "nested": (f"{DATA}/pastes.csv", "strength ~ 1 + (1 | batch/cask)", {}),
    "exchangeable": (f"{DATA}/machines.csv", "score ~ Machine + cs(0 + Machine | Worker)", {}),
    "equal variances": (f"{DATA}/machines.csv", "score ~ Machine + identity(0 + Machine | Worker)", {}),
    "three effects": (f"{DATA}/machines.csv", "score ~ Machine + (0 + Machine | Worker)", {}),
    "ar1": ("data/raw/sleepstudy.csv", "Reaction ~ Days + (1 | Subject)", {"residual": lmm.AR1("Days")}),
    "car1": (*ORTHODONT, {"residual": lmm.CAR1("age", subject="Subject")}),
    "nugget": (
        f"{DATA}/days_with_gaps.csv",
        "y ~ day",
        {"residual": lmm.Gaussian("day", nugget=True, subject="id")},
    ),
    "compound": (*ORTHODONT, {"residual": lmm.CompoundSymmetry(subject="Subject")}),
    "toeplitz": (*ORTHODONT, {"residual": lmm.Toeplitz("age", subject="Subject")}),
    "visits": (*ORTHODONT, {"residual": lmm.Unstructured("age", subject="Subject")}),
    "by group": (ORTHODONT[0], f"{ORTHODONT[1]} + (1 | Subject)", {"variance": lmm.ByGroup("Sex")}),
    "power": (
        f"{DATA}/growing_spread.csv",
        "y ~ dose + (1 | id)",
        {"variance": lmm.Power(of="dose")},
    ),
    "toeplitz by group": (
        *ORTHODONT,
        {"residual": lmm.Toeplitz("age", subject="Subject"), "variance": lmm.ByGroup("Sex")},
    ),
}


def frame(path):
    return pl.read_csv(ROOT / path, null_values="NA", infer_schema_length=None)


@cache
def kind(name, method="REML"):
    path, formula, more = KINDS[name]
    return lmm.fit(formula, frame(path), method=method, **more)


def refit(entry, method="REML"):
    """The model of an entry of intervals_reference.json."""
    more = {}
    if entry.get("residual"):
        described = dict(entry["residual"])
        more["residual"] = STRUCTURES[described.pop("type")](**described)
    if entry.get("variance"):
        made = lmm.ByGroup if entry["variance"]["type"] == "by_group" else lmm.Power
        more["variance"] = made(entry["variance"]["of"])
    if entry.get("categories"):
        more["categories"] = entry["categories"]
    return lmm.fit(entry["formula"], frame(entry["data"]), method=method, **more)
