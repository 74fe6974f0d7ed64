"""Random cases. Case K of seed S is always the same one."""

from __future__ import annotations

import numpy as np

from tests.fuzz.case import Case, Random, Residual, design

GRIDDED = ("AR1", "Toeplitz", "Unstructured", "RandomWalk")
ALL = ("AR1", "CAR1", "Exponential", "Gaussian", "CompoundSymmetry", "Toeplitz", "Unstructured", "RandomWalk")


def case(seed: int, number: int) -> Case:
    """A model, and data that it may or may not fit."""
    rng = np.random.default_rng([seed, number])
    residual_type = str(rng.choice(ALL)) if rng.random() < 0.5 else None
    # Nested levels beside a serial correlation cost the engine most.
    shares = [0.55, 0.33, 0.12] if residual_type is None else [0.8, 0.16, 0.04]
    levels = int(rng.choice([1, 2, 3], p=shares))
    columns = _layout(rng, levels, residual_type)
    random, residual = _structure(rng, levels, residual_type)
    fixed = _fixed(rng, columns)
    variance = _variance(rng, columns)
    weights = "w" if rng.random() < 0.25 else None
    offset = "o" if rng.random() < 0.15 else None
    method = "ML" if rng.random() < 0.4 else "REML"
    made = Case(columns, fixed, random, residual, variance, weights, offset, method)
    return _with_response(rng, made)


def _layout(rng: np.random.Generator, levels: int, kind: str | None) -> dict[str, np.ndarray]:
    """Units in units, visits missing at random, some units of one row."""
    outer = int(rng.integers(2, 7)) if levels > 1 else int(rng.integers(3, 13))
    visits = int(rng.integers(2, 8))
    if kind in ("Toeplitz", "Unstructured"):  # as many subjects as their parameters take, mostly
        visits = int(rng.choice([2, 3, 4], p=[0.3, 0.5, 0.2]))
        outer = outer if levels > 1 or rng.random() < 0.2 else 2 + visits * int(rng.integers(2, 5))
    share = rng.choice([1.0, 0.8, 0.5])
    single = rng.random() < 0.3
    step = int(rng.choice([1, 1, 1, 2, 3]))
    first = int(rng.choice([0, 1, 1, 5]))
    rows = []
    for a in range(outer):
        for b in range(1 if levels == 1 else int(rng.integers(1, 4))):
            for c in range(1 if levels < 3 else int(rng.integers(1, 4))):
                seen = np.flatnonzero(rng.random(visits) < share)
                if not len(seen) or (single and rng.random() < 0.4):
                    seen = rng.integers(0, visits, 1)
                rows += [(a, b, c, first + step * visit) for visit in seen]
    rows = rows[:48] if levels > 1 else rows[:60]
    codes = np.array(rows)
    n = len(codes)
    columns: dict[str, np.ndarray] = {}
    labels = [np.array([f"{name}{rng.integers(0, 90)}_{k}" for k in range(20)]) for name in "abc"]
    if rng.random() < 0.3:
        columns["a"] = codes[:, 0] * int(rng.integers(1, 9)) + 3
    else:
        columns["a"] = labels[0][codes[:, 0]]
    columns["b"], columns["c"] = labels[1][codes[:, 1]], labels[2][codes[:, 2]]
    t = codes[:, 3].astype(float)
    if kind not in GRIDDED and rng.random() < 0.5:
        t = t + rng.uniform(-0.4, 0.4, n)
    if kind == "RandomWalk":
        t = t + 1
    columns["t"] = t
    if kind in (None, "CAR1", "Exponential", "Gaussian"):
        columns["t"] = t * rng.choice([1, 1, 1, 1e-3, 30.4, 1e4])
    columns["x"] = (rng.normal(size=n) + rng.choice([0, 0, 50])) * rng.choice([1, 1, 1e-4, 1e4])
    columns["s"] = columns["x"] * 0 + rng.normal(size=outer)[codes[:, 0]]
    arms = int(rng.integers(2, 4))
    columns["g"] = np.array(["p", "q", "r"])[rng.integers(0, arms, outer)][codes[:, 0]]
    columns["h"] = np.array(["u", "v", "w"])[rng.integers(0, arms, n)]
    columns["d"] = 2 * columns["t"] + 1 if rng.random() < 0.5 else (columns["g"] == "q").astype(float)
    columns["w"] = rng.uniform(0.2, 5, n) * (rng.choice([1, 1, 1e4]))
    columns["v"] = rng.uniform(0.5, 4, n)
    columns["o"] = rng.normal(size=n)
    return columns


def _structure(
    rng: np.random.Generator, levels: int, kind: str | None
) -> tuple[tuple[Random, ...], Residual | None]:
    """Random terms of each level, or of some, and a residual structure of the innermost units."""
    groups = [("a",), ("a", "b"), ("a", "b", "c")][:levels]
    random = []
    for group in groups:
        place = rng.random()
        simple = kind is not None and rng.random() < 0.6
        if simple or place < 0.45:
            random.append(Random(group, ((),), "us"))
        elif place < 0.65:
            random.append(Random(group, ((), ("t",)), "us"))
        elif place < 0.75:
            random.append(Random(group, ((), ("t",)), "||"))
        elif place < 0.8:
            random.append(Random(group, (("t",),), "us"))
        elif place < 0.87:
            random.append(Random(group, (("h",),), "cs"))
        elif place < 0.91:
            random.append(Random(group, (("h",),), "us"))
        elif place < 0.95:
            random.append(Random(group, ((), ("x",)), "us"))
        else:
            random.append(Random(group, ((), ("t",), ("x",)), str(rng.choice(["us", "||"]))))
    if kind is None:
        return tuple(random), None
    time = None if kind == "CompoundSymmetry" else "t"
    nugget = kind in ("Exponential", "Gaussian") and rng.random() < 0.4
    subject = groups[-1]
    if kind in ("CompoundSymmetry", "RandomWalk", "Unstructured", "Toeplitz") or rng.random() < 0.4:
        random = []
    elif levels > 1 and rng.random() < 0.4:
        random = random[:-1]
    return tuple(random), Residual(kind, time, subject, nugget)


def _fixed(rng: np.random.Generator, columns: dict[str, np.ndarray]) -> tuple[tuple[str, ...], ...]:
    menu = [
        ((),),
        ((), ("t",)),
        ((), ("t",)),
        ((), ("t",), ("g",)),
        ((), ("t",), ("g",), ("t", "g")),
        ((), ("t",), ("d",)),
        ((), ("t",), ("g",), ("d",)),
        ((), ("x",), ("t",)),
        ((), ("h",)),
        ((), ("h",), ("t",), ("h", "t")),
        ((), ("s",), ("x",)),
        (("t",),),
        (("g",), ("t",)),
    ]
    chosen = menu[int(rng.integers(len(menu)))]
    # A category of one level is no category: the formula would have no such column.
    return tuple(
        term
        for term in chosen
        if all(columns[name].dtype.kind != "U" or len(np.unique(columns[name])) > 1 for name in term)
    ) or ((),)


def _variance(rng: np.random.Generator, columns: dict[str, np.ndarray]) -> tuple[str, str] | None:
    place = rng.random()
    if place > 0.16:
        return None
    if place > 0.08:
        return "Power", "v"
    column = str(rng.choice(["g", "h"]))
    return ("ByGroup", column) if len(np.unique(columns[column])) > 1 else None


def _with_response(rng: np.random.Generator, case: Case) -> Case:
    """A response that the model describes, or another one: without some effect, or with a very large one."""
    n, columns = case.n, case.columns
    standard = {
        name: (values - values.mean()) / (values.std() or 1.0) if values.dtype.kind != "U" else values
        for name, values in columns.items()
    }
    y = np.zeros(n)
    for column in design(standard, case.fixed).values():
        y += rng.normal(0, 2) * column
    for term in case.random:
        size = rng.choice(
            [0, 0.1, 0.5, 1, 1, 3, 30, 1e3, 1e5], p=[0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.05, 0.03, 0.02]
        )
        codes = case.codes(term.group)
        common = rng.normal(size=codes.max() + 1)
        for column in design(standard, term.terms).values():
            own = rng.normal(size=codes.max() + 1)
            both = rng.choice([0, 0.5, 1])
            y += size * (both * common + own)[codes] * column
    e = rng.normal(size=n)
    if case.residual is not None:
        codes = case.codes(case.residual.subject)
        rho = rng.choice([0, 0.3, 0.7, 0.95, -0.4])
        time = np.argsort(np.argsort(columns["t"]))
        for who in range(codes.max() + 1):
            mine = np.flatnonzero(codes == who)
            mine = mine[np.argsort(time[mine])]
            for before, after in zip(mine, mine[1:], strict=False):
                e[after] = rho * e[before] + np.sqrt(1 - rho**2) * e[after]
    if case.variance is not None and case.variance[0] == "ByGroup":
        levels, codes = np.unique(columns[case.variance[1]], return_inverse=True)
        e *= np.exp(rng.normal(0, 1, len(levels)))[codes]
    if case.variance is not None and case.variance[0] == "Power":
        e *= columns["v"] ** rng.choice([0, 1, -1])
    if case.weights is not None:
        e /= np.sqrt(columns["w"])
    y = y + e
    if rng.random() < 0.05:
        y = np.round(y)
    if rng.random() < 0.3:
        y = y * 10.0 ** rng.integers(-8, 9)
    if rng.random() < 0.15:
        y = y + np.std(y) * 10.0 ** rng.integers(1, 5)
    if case.offset is not None:
        y = y + columns["o"]
    return case.with_columns(y=y)
