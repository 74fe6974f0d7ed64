"""Formulas that ask for more than the data can tell: many random effects, repeated ones, large structures.

Each is fitted, or refused in one sentence; with the compiled loops and without.
"""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.errors import LmmError

MOST = 60
SIZES = [2, 16, 17, 24, MOST]
pytestmark = pytest.mark.usefixtures("loops")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """20 groups of 80 to 100 rows, with a random intercept and slope of x; two halves f; noise v0, v1, ..."""
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(20), rng.integers(80, 100, 20))
    n = len(group)
    intercept, slope = rng.normal(size=(2, 20))
    x = rng.normal(size=n)
    y = 1 + intercept[group] + (0.5 + slope[group]) * x + rng.normal(size=n)
    known = {"g": group, "x": x, "y": y, "f": np.array(["a", "b"])[np.arange(n) % 2], "zero": np.zeros(n)}
    return pl.DataFrame(known | {f"v{j}": rng.normal(size=n) for j in range(MOST)})


def repeated(times: int) -> str:
    """x, the same array in calls of I() as deep as formulas go, then its multiples."""
    return "I(" * times + "x" + ")" * times if times < 28 else f"I({times} * x)"


def dense_loglik(fit: lmm.Fit, frame: pl.DataFrame, X: np.ndarray, Z: np.ndarray) -> float:
    """The restricted log-likelihood at the estimates of independent effects, each group's V written out."""
    variances = np.array([row["sd"] ** 2 for row in fit.varcorr().to_dicts() if row["group"] != "Residual"])
    y, log_det, p = frame["y"].to_numpy(), 0.0, X.shape[1]
    gram = np.zeros((p + 1, p + 1))
    for group in range(20):
        here = frame["g"].to_numpy() == group
        V = (Z[here] * variances) @ Z[here].T + fit.sigma**2 * np.eye(here.sum())
        both = np.column_stack([X, y])[here]
        gram += both.T @ np.linalg.solve(V, both)
        log_det += np.linalg.slogdet(V)[1]
    inside = gram[:p, :p]
    left = gram[p, p] - gram[p, :p] @ np.linalg.solve(inside, gram[:p, p])
    return -0.5 * (log_det + np.linalg.slogdet(inside)[1] + left + (len(y) - p) * np.log(2 * np.pi))


@pytest.mark.parametrize("effects", SIZES)
@pytest.mark.parametrize("apart", [False, True])
def test_a_repeated_effect_is_refused(frame, effects, apart):
    names = [repeated(times) for times in range(effects)]
    terms = " + ".join(f"(0 + {name} | g)" for name in names)
    if not apart:
        terms = f"(0 + {' + '.join(names)} || g)"
    said = (
        f"^The random effects x, I.x.* of 'g' are linearly dependent, .* only 1 of their {effects} variances"
    )
    with pytest.raises(LmmError, match=said):
        lmm.fit(f"y ~ x + {terms}", frame)


@pytest.mark.parametrize("effects", SIZES)
def test_so_many_different_effects_are_fitted(frame, effects):
    names = [f"v{j}" for j in range(effects)]
    fit = lmm.fit(f"y ~ x + (0 + {' + '.join(names)} || g)", frame)
    assert fit.certificate.converged
    x, Z = frame["x"].to_numpy(), frame.select(names).to_numpy()
    exact = dense_loglik(fit, frame, np.column_stack([np.ones_like(x), x]), Z)
    assert fit.loglik == pytest.approx(exact, abs=1e-9 * abs(exact))


def test_a_column_in_many_places_of_both_parts_is_fitted(frame):
    """X has as many columns as it likes of those of Z, none twice."""
    names = [f"v{j}" for j in range(14)]
    formula = f"y ~ {' + '.join(names)} + (0 + {' + '.join(names)} || g)"
    X = frame.select(names).to_numpy()
    fit = lmm.fit(formula, frame)
    exact = dense_loglik(fit, frame, np.column_stack([np.ones(len(X)), X]), X)
    assert fit.loglik == pytest.approx(exact, abs=1e-9 * abs(exact))


@pytest.mark.parametrize(
    ("random", "determined", "asked"),
    [
        ("(x | g) + (0 + I(2 * x) | g)", 3, 4),
        ("(1 | g) + (0 + f | g)", 3, 4),
        ("(0 + f | g) + (1 | g) + (0 + I(x - x + 1) | g)", 3, 5),
        ("(1 | g) + (0 + x | g) + (0 + I(x + 1) | g) + (0 + I(x + 2) | g)", 3, 4),
    ],
)
def test_dependent_effects_that_cannot_be_told_apart(frame, random, determined, asked):
    said = f"linearly dependent, .* only {determined} of their {asked} variances and covariances: leave out"
    with pytest.raises(LmmError, match=said):
        lmm.fit(f"y ~ x + {random}", frame)


def test_dependent_effects_that_can_be_told_apart(frame):
    """1, x and x + 1 with a variance each make three different covariances; 1, a and b do."""
    x = frame["x"].to_numpy()
    X, one = np.column_stack([np.ones_like(x), x]), np.ones_like(x)
    fit = lmm.fit("y ~ x + (1 | g) + (0 + x | g) + (0 + I(x + 1) | g)", frame)
    exact = dense_loglik(fit, frame, X, np.column_stack([one, x, x + 1]))
    assert fit.certificate.converged and fit.loglik == pytest.approx(exact, abs=1e-8)
    fit = lmm.fit("y ~ x + (1 | g) + (0 + f || g)", frame)
    half = np.arange(len(x)) % 2
    exact = dense_loglik(fit, frame, X, np.column_stack([one, 1 - half, half]))
    assert fit.certificate.converged and fit.loglik == pytest.approx(exact, abs=1e-8)


def grid(subjects: int, visits: int) -> pl.DataFrame:
    """Complete rows of noise."""
    rng = np.random.default_rng(subjects)
    id, time = np.repeat(np.arange(subjects), visits), np.tile(np.arange(visits), subjects)
    return pl.DataFrame({"id": id, "t": time, "y": rng.normal(size=len(id)) + rng.normal(size=subjects)[id]})


@pytest.mark.parametrize("structure", [lmm.Unstructured, lmm.Toeplitz])
@pytest.mark.parametrize(("subjects", "visits"), [(1, 32), (2, 16), (2, 32), (3, 40), (1, 3)])
def test_a_structure_of_more_parameters_than_the_rows_support(structure, subjects, visits):
    with pytest.raises(LmmError, match=rf"^{structure.__name__}\b.*(use|e.g.) AR1"):
        lmm.fit("y ~ 1", grid(subjects, visits), residual=structure("t", "id"))


@pytest.mark.parametrize("subjects", [2, 7, 20])
def test_as_many_visits_as_subjects_come_to_an_end(subjects):
    """With or without an estimate."""
    lmm.fit("y ~ 1", grid(subjects, min(subjects, 9)), residual=lmm.Unstructured("t", "id"))


def test_visits_that_no_subject_has_both():
    frame = (
        grid(12, 4)
        .filter((pl.col("t") != 1) | (pl.col("id") < 6))
        .filter((pl.col("t") != 3) | (pl.col("id") > 5))
    )
    with pytest.raises(LmmError, match="no subject has rows at both 1 and 3"):
        lmm.fit("y ~ 1", frame, residual=lmm.Unstructured("t", "id"))
