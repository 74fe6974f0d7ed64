"""The conditional AIC: how well the model predicts further rows of the same subjects.

With the conditional fitted values y^ = X beta^ + Z b^ = y - R P y and r = P y = V^-1 (y - X beta^),

    cAIC = -2 log f(y | beta^, b^) + 2 (df + parameters of the residual covariance, sigma among them)

df is the trace of d y^ / d y. Covariance parameters taken as known it is

    tr(H1) = n - tr(R P) = p + sum over the levels of tr(Psi Z'P Z)

(Hodges & Sargent 2001; Vaida & Blanchard 2005). That they are estimated too adds, with the deviance's Hessian
K in theta and derivatives V_j, R_j by theta_j, through the implicit function theorem

    sum_jk (K^-1)_jk c_j'(R P V_k r - R_k r),    c_j = 2/sigma^2 (P V_j r - (r'V_j r / y'P y) r)

(Greven & Kneib 2010, for R = I). A variance of zero stays there for a small change of y and adds nothing. df
is the trace of the derivative of refitted values to all digits; R's cAIC4 1.0 halves the second term of c_j
and says 31.30 instead of 31.25 for sleepstudy's random slopes (sigma counted).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.estimate.precision import RowInverse, covariance_slopes, residual_times, row_inverse, weighted
from lmmcore.estimate.solution import Solution
from lmmcore.likelihood.profile import LOG_2PI
from lmmcore.optimise.certificate import free_parameters

# Curvature, relative to a parameter's own, below which the data do not determine a covariance parameter.
FLAT = 1e-10


@dataclass(frozen=True)
class ConditionalAic:
    """The conditional AIC of a fit.

    caic : -2 loglik + 2 (df + residual_parameters) (Greven & Kneib 2010).
    loglik : log f(y | beta^, b^) at the estimates of the fit, by REML or ML.
    df : effective degrees of freedom of the fitted values, tr(d y^ / d y), the covariance estimated anew.
    df_known : tr(H1), the same with the covariance relative to sigma^2 taken as known.
    residual_parameters : sigma and the parameters of the residual structure.
    caic_known : -2 loglik + 2 (df_known + residual_parameters), the large-sample form of Vaida & Blanchard
    (2005), which tends to choose too many random effects.
    convention, sentence : what caic is, in words.
    """

    caic: float
    loglik: float
    df: float
    df_known: float
    residual_parameters: int
    caic_known: float
    convention: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def caic(solution: Solution) -> ConditionalAic:
    """Conditional AIC of a fit, for a choice among random effects where subjects are of interest themselves.

    Fits to the same rows by the same method are comparable. Under a residual structure "conditional" means
    given the random effects alone. Of a variance that depends on the fitted values, Power(of="fitted"), the
    dependence is left out of df.
    """
    model = solution.model
    inverse = row_inverse(solution)
    left = np.array(model.rows.y)
    for index, coefficient in zip(model.coordinates.kept, solution.beta, strict=True):
        left -= coefficient * model.rows.X[index]
    r = inverse(weighted(solution, left)[:, None])
    quadratic = float((r * residual_times(solution, r)).sum()) / solution.sigma2
    log_det = 0.0 if model.structure is None else solution.cells[-1].log_r
    if model.rows.weights is not None:
        log_det -= float(np.log(model.rows.weights).sum())
    loglik = -(model.n * (LOG_2PI + np.log(solution.sigma2)) + log_det + quadratic) / 2
    known = df_known(solution)
    df = known + _for_estimation(inverse, r[:, 0])
    count = 1 + len(solution.natural)
    value, value_known = (float(2 * (total + count - loglik)) for total in (df, known))
    convention = "Greven & Kneib (2010): degrees of freedom with estimated covariance parameters"
    sentence = (
        f"Conditional AIC {value:.2f}: conditional log-likelihood {loglik:.2f}, {df:.2f} effective degrees "
        f"of freedom ({known:.2f} if the covariance were known) and {count} residual parameter"
        f"{'s' * (count > 1)} ({convention})."
    )
    return ConditionalAic(
        float(value),
        float(loglik),
        df,
        known,
        count,
        float(-2 * loglik + 2 * (known + count)),
        convention,
        sentence,
    )


def df_known(solution: Solution) -> float:
    """tr(H1) of y^ = H1 y, covariance parameters known, from the moments alone.

    The derivative of log|V| + log|X'V^-1 X| by Psi is Z'P Z.
    """
    optimum = solution.optimum
    theta, objective, value = optimum.evaluation.theta, optimum.objective, optimum.evaluation.value
    p = solution.model.p
    W = np.zeros((p + 1, p + 1))
    W[:p, :p] = value.profile.unscaled
    slopes = objective.slopes(theta, objective.subjects(theta), lambda: value.level, W)
    pairs = zip(objective.psis(theta), slopes.cones, strict=True)
    return p + float(sum((psi * cone).sum() for psi, cone in pairs))


def _for_estimation(inverse: RowInverse, r: np.ndarray) -> float:
    """What estimating the covariance parameters adds to df; r : (n,) P y."""
    solution = inverse.solution
    model, optimum = solution.model, solution.optimum
    free = free_parameters(optimum)
    if not free.any():
        return 0.0
    V_r, R_r = (slopes[:, free] for slopes in covariance_slopes(inverse, r))
    P_V_r = inverse(V_r)
    if model.p:
        X = np.column_stack([model.rows.X[index] for index in model.coordinates.kept])
        basis = np.linalg.qr(weighted(solution, X))[0]
        VX = inverse(basis)
        P_V_r -= VX @ np.linalg.solve(basis.T @ VX, VX.T @ V_r)
    share = r @ V_r / (solution.nu * solution.sigma2)
    c = 2 / solution.sigma2 * (P_V_r - r[:, None] * share)
    change = residual_times(solution, P_V_r) - R_r
    hessian = optimum.evaluation.hessian[np.ix_(free, free)]
    # A parameter at the end of its space has no curvature, and changes nothing.
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    scaled = np.linalg.pinv(hessian * np.outer(scale, scale), rcond=FLAT, hermitian=True)
    return float((scaled * np.outer(scale, scale) * (c.T @ change)).sum())
