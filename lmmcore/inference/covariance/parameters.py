"""All covariance parameters of a model on the user's scale: SDs, correlations, those of the residual, sigma.

With Psi = Lambda Lambda' of a level in the model's coordinates and r_j the row that gives the user's effect
b_j = r_j'b, the SD of b_j is sigma sqrt(r_j'Psi r_j); r_j'Psi r_k and its derivatives by theta follow from
those of Psi. A term with compound symmetry or independent effects of equal variance has one SD (and one
correlation) for all of its effects.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from lmmcore.covariance.parameter import ANGLE, LOG, SD, End, Jet, Scale
from lmmcore.inference.covariance.residual_parameters import residual_parameters
from lmmcore.inference.covariance.scales import Parameter
from lmmcore.likelihood.objective import Objective
from lmmcore.model.specification import Model, RandomBlock

# Angle this far from the ends stands for a correlation of 1: 1 - |rho| is 5e-9, the deviance even in it.
NEAR = 1e-4
RIGHT = float(np.pi / 2)
SIGMA_TERM = "sd__Observation"


def covariance_parameters(model: Model) -> list[Parameter]:
    """SDs and correlations of each random term, parameters of the residual structure, sigma."""
    found: list[Parameter] = []
    for block in model.blocks:
        found += _shared(model, block) if block.kind != "unstructured" else _free(model, block)
    if model.structure is not None:
        found += residual_parameters(model.structure)
    ends = End(-np.inf, 0.0), End(np.inf, np.inf)
    sigma = Parameter("Residual", SIGMA_TERM, "sigma", LOG, *ends, _log_sigma)
    return [*found, sigma]


def _free(model: Model, block: RandomBlock) -> list[Parameter]:
    """Each SD, then each correlation."""
    rows = [_row(model, block, k) for k in range(len(block.names))]
    found = [_sd(block, name, block.level, row) for name, row in zip(block.names, rows, strict=True)]
    for second, name2 in enumerate(block.names):
        for first, name1 in enumerate(block.names[:second]):
            pair = (block.level, rows[first]), (block.level, rows[second])
            term, label = (
                f"cor__{name1}.{name2}",
                f"the correlation of {name1} and {name2} within {block.group}",
            )
            ends = End(NEAR - RIGHT, -1.0), End(RIGHT - NEAR, 1.0)
            jet = partial(_angle, block.level, rows[first], rows[second])
            found.append(Parameter(block.group, term, label, ANGLE, *ends, jet, pair))
    return found


def _shared(model: Model, block: RandomBlock) -> list[Parameter]:
    """The SD of all effects, and their correlation under compound symmetry."""
    names, size = ",".join(block.names), len(block.names)
    row = _row(model, block, 0)
    found = [_sd(block, names, block.level, row)]
    if block.kind == "compound_symmetry":
        term, label = f"cor__{names}", f"the correlation of the effects {names} within {block.group}"
        ends = End(0.0, -1 / (size - 1)), End(RIGHT, 1.0)
        start = sum(_size(other, model) for other in _before(model, block))
        jet = partial(_polar, block.level, start)
        effects = ((block.level, row),)
        found.append(Parameter(block.group, term, label, _exchangeable(size), *ends, jet, effects))
    return found


def _sd(block: RandomBlock, names: str, level: int, row: np.ndarray) -> Parameter:
    label = f"the SD of {names} within {block.group}"
    ends = End(0.0, 0.0), End(np.inf, np.inf)
    jet = partial(_deviation, level, row)
    return Parameter(block.group, f"sd__{names}", label, SD, *ends, jet, ((level, row),))


def _row(model: Model, block: RandomBlock, effect: int) -> np.ndarray:
    """(q,) of the level: the user's effect in terms of the model's."""
    columns = model.columns(block.level)
    return model.coordinates.random[block.columns[effect], columns]


def _before(model: Model, block: RandomBlock) -> list[RandomBlock]:
    mine = [other for other in model.blocks if other.level == block.level]
    return mine[: mine.index(block)]


def _size(block: RandomBlock, model: Model) -> int:
    m = len(block.names)
    return {"unstructured": m * (m + 1) // 2, "identity": 1, "compound_symmetry": 2}[block.kind]


def _product(objective: Objective, tau: np.ndarray, level: int, left: np.ndarray, right: np.ndarray) -> Jet:
    """left'Psi right of a level."""
    at, structure, m = objective.places[level], objective.levels[level], len(tau)
    factor = structure.factor(tau[at])
    first, second = np.zeros(m), np.zeros((m, m))
    first[at] = left @ structure.first(factor) @ right
    second[at, at] = left @ structure.second @ right
    return Jet(float(left @ factor @ factor.T @ right), first, second)


def _deviation(level: int, row: np.ndarray, objective: Objective, tau: np.ndarray) -> Jet:
    """sigma sqrt(row'Psi row)."""
    inner = _product(objective, tau, level, row, row)
    log = inner.through(float(tau[-1] + np.log(inner.value)) / 2, 0.5 / inner.value, -0.5 / inner.value**2)
    log.first[-1] += 0.5
    sd = float(np.exp(log.value))
    return log.through(sd, sd, sd)


def _angle(level: int, left: np.ndarray, right: np.ndarray, objective: Objective, tau: np.ndarray) -> Jet:
    """arcsin of the correlation of two effects."""
    rho = _product(objective, tau, level, left, right)
    for row in (left, right):
        v = _product(objective, tau, level, row, row)
        rho = rho * v.through(v.value**-0.5, -0.5 * v.value**-1.5, 0.75 * v.value**-2.5)
    value = min(1.0, max(-1.0, rho.value))
    cosine = np.sqrt(1 - value**2)
    with np.errstate(divide="ignore", invalid="ignore"):  # at a correlation of 1 only the angle is known
        return rho.through(float(np.arcsin(value)), 1 / cosine, value / cosine**3)


def _polar(level: int, start: int, objective: Objective, tau: np.ndarray) -> Jet:
    """arctan(theta_1 / theta_2) of compound symmetry: 0 at the lowest correlation, pi/2 at 1."""
    m, place = len(tau), objective.places[level].start + start
    pair = tau[place : place + 2]
    sign = np.where(pair < 0, -1.0, 1.0)
    a, b = np.abs(pair)
    square = a**2 + b**2
    first, second = np.zeros(m), np.zeros((m, m))
    first[place : place + 2] = sign * np.array([b, -a]) / square
    bend = np.array([[-2 * a * b, a**2 - b**2], [a**2 - b**2, 2 * a * b]]) / square**2
    second[place : place + 2, place : place + 2] = np.outer(sign, sign) * bend
    return Jet(float(np.arctan2(a, b)), first, second)


def _exchangeable(size: int) -> Scale:
    """Correlation of compound symmetry at the angle of _polar; Wald limits on the logit of its place."""
    low = -1 / (size - 1)

    def spread(t: float) -> float:
        return float(np.sin(t) ** 2 + (size - 1) * np.cos(t) ** 2)

    def back(u: float) -> float:
        return float((low + np.exp(u)) / (1 + np.exp(u)))

    return Scale(
        "logit",
        lambda t: float(-np.cos(2 * t)) / spread(t),
        lambda t: float(size * np.sin(2 * t)) / spread(t) ** 2,
        lambda t: (float(2 * np.log(np.tan(t)) - np.log(size - 1)), float(4 / np.sin(2 * t))),
        back,
    )


def _log_sigma(objective: Objective, tau: np.ndarray) -> Jet:
    """log sigma."""
    first = np.zeros(len(tau))
    first[-1] = 0.5
    return Jet(float(tau[-1] / 2), first, np.zeros((len(tau), len(tau))))
