"""Every user's mistake is an LmmError of one sentence: a walk over the public surface with wrong values.

Each public function, and each public method of a fit and of what a fit gives, is called with one argument
after the other replaced by values that a person might pass: a wrong name, type, sign, shape. It may work, or
raise an LmmError; anything else is a traceback.
"""

import inspect
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm

ROOT = Path(__file__).resolve().parents[2]

SLEEP = pl.read_csv(ROOT / "data/raw/sleepstudy.csv").with_columns(
    arm=pl.when(pl.col("Subject") < 350).then(pl.lit("a")).otherwise(pl.lit("b")), w=1 + pl.col("Days") % 3
)
WRONG = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "KR",
    "no such name",
    b"bytes",
    [],
    ["Days", 3],
    [[1, 2], [3]],
    ["Days", "Days"],
    [None],
    {},
    {"days": 1},
    {"Days": "many"},
    {"Days": None},
    {3: 4},
    {"arm": ["z"]},
    (),
    {"Days"},
    date(2024, 1, 1),
    object(),
    np.array([1.0, np.nan]),
    np.zeros((2, 2, 2)),
    pl.Series([1, 2]),
    pl.DataFrame({"Days": ["x"]}),
    pl.DataFrame({"Days": [1.0], "arm": [None], "Subject": [[1]], "w": [0.0]}),
    pl.DataFrame(),
    Path("nowhere"),
]


def surface():
    """(name, callable, arguments that work) of everything public."""
    fit = lmm.fit("Reaction ~ Days * arm + (Days | Subject)", SLEEP)
    ml = lmm.fit("Reaction ~ Days * arm + (Days | Subject)", SLEEP, method="ML")
    small = lmm.fit("Reaction ~ Days + (Days | Subject)", SLEEP, method="ML")
    serial = lmm.fit(
        "Reaction ~ Days + (1 | Subject)",
        SLEEP,
        residual=lmm.AR1("Days"),
        weights="w",
        variance=lmm.ByGroup("arm"),
    )
    grid, each = fit.emmeans("arm"), lmm.fit_each("Reaction ~ Days", SLEEP, by="Subject")
    gls = lmm.gls("Reaction ~ Days", SLEEP, fit)
    arguments = {
        "fit": {"formula": "Reaction ~ Days + (1 | Subject)", "data": SLEEP},
        "fit_each": {"formula": "Reaction ~ Days", "data": SLEEP, "by": "Subject"},
        "gls": {"formula": "Reaction ~ Days", "data": SLEEP, "covariance": fit},
        "compare_fixed": {"small": small, "large": ml},
        "rlrt": {"fit": lmm.fit("Reaction ~ Days + (1 | Subject)", SLEEP), "term": "Subject", "n": 10},
        "bootstrap_lrt": {"null": small, "alternative": ml, "n": 2, "seed": 1},
        "load": {"path": "nowhere"},
        "AnteDependence": {"time": "Days"},
        "AR1": {"time": "Days"},
        "CAR1": {"time": "Days"},
        "Exponential": {"time": "Days"},
        "Gaussian": {"time": "Days"},
        "RandomWalk": {"time": "Days"},
        "Toeplitz": {"time": "Days"},
        "Unstructured": {"time": "Days"},
        "ByGroup": {"column": "arm"},
        "Power": {"of": "Days"},
        "contrast": {"L": {"Days": 1}},
        "emmeans": {"specs": "arm"},
        "slopes": {"covariate": "Days", "specs": "arm"},
        "marginal_covariance": {"new": SLEEP.head(3)},
        "predict": {"new": SLEEP.head(3)},
        "bootstrap": {"n": 2},
        "profile": {"term": "Days"},
        "confint": {"n": 2},
        "save": {"path": ROOT},
        "report": {"path": ROOT / "data"},  # a folder: no report is drawn
    }
    structures = {name for name in lmm.__all__ if hasattr(getattr(lmm, name), "bind")}
    special = {
        ("EmmGrid", "contrast"): {"method": "pairwise"},
        ("Bootstrap", "confint"): {},
        ("Robust", "estimates"): {"L": np.eye(4)},
        ("Robust", "joint_test"): {"L": np.eye(4)[:2]},
    }
    found = []
    for name in lmm.__all__:
        of = getattr(lmm, name)
        if name in structures:
            found.append((name, structured(of), arguments.get(name, {})))
        elif inspect.isfunction(of):
            found.append((name, of, arguments.get(name, {})))
    objects = {
        "Fit": fit,
        "serial Fit": serial,
        "EmmGrid": grid,
        "Robust": quietly(fit.robust),
        "Diagnostics": fit.diagnostics,
        "serial Diagnostics": serial.diagnostics,
        "Bootstrap": fit.bootstrap(3),
        "EachFit": each,
        "TwoStage": each.two_stage(),
        "Gls": gls,
    }
    for kind, of in objects.items():
        for name, method in inspect.getmembers(of, inspect.ismethod):
            if name.startswith("_"):
                continue
            given = arguments.get(name, {})
            given = special.get((kind, name), given)
            found.append((f"{kind}.{name}", method, given))
    return found


def structured(of):
    """A fit with a structure: a structure by itself knows no column."""

    def call(**given):
        made = of(**given)
        where = "variance" if of in (lmm.ByGroup, lmm.Power) else "residual"
        return lmm.fit("Reaction ~ Days + (1 | Subject)", SLEEP.filter(pl.col("Days") > 0), **{where: made})

    call.__signature__ = inspect.signature(of)
    return call


def quietly(call, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(**given)


def mistakes(name, call, given):
    """(argument, value, exception) of calls that raise what is no LmmError."""
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind == parameter.VAR_POSITIONAL:
            tries = [((value,), {}) for value in WRONG]
        else:
            tries = [((), {**given, parameter.name: value}) for value in WRONG]
        for value, (places, named) in zip(WRONG, tries, strict=True):
            if name.endswith("report") and parameter.name == "path" and isinstance(value, str | Path):
                continue  # a report would be drawn
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call(*places, **named)
            except lmm.LmmError as error:
                text = str(error)
                if not text.endswith((".", "?")) or "\n" in text:
                    yield parameter.name, value, f"no sentence: {text}"
            except Exception as error:
                yield parameter.name, value, f"{type(error).__name__}: {error}"


def test_every_mistake_is_an_lmm_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = [
        f"{name}({argument}={value!r:.40}): {error:.120}"
        for name, call, given in surface()
        for argument, value, error in mistakes(name, call, given)
    ]
    assert not wrong, f"{len(wrong)} are no LmmError:\n" + "\n".join(wrong)


def test_old_code_that_expects_a_value_error_goes_on():
    fit = lmm.fit("Reaction ~ Days + (1 | Subject)", SLEEP)
    for call in (lambda: fit.tidy(df="KR"), lambda: fit.emmeans("arm"), lambda: fit.contrast({"days": 1})):
        for kind in (lmm.LmmError, ValueError):
            with pytest.raises(kind):
                call()
    with pytest.raises(lmm.ArgumentError, match="df is 'KR', but must be one of 'satterthw"):
        fit.tidy(df="KR")
    with pytest.raises(lmm.ArgumentError, match="no term 'days'; did you mean 'Days'"):
        fit.contrast({"days": 1})
