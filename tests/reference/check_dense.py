"""Check lmm_reference.json against the textbook formula, dense and independent of R and of lmmcore.

Run from the root of the repository:  python tests/reference/check_dense.py

For every entry V = Z Psi Z' + sigma^2 R is built subject by subject from R's estimates, and the
log-likelihood, the fixed effects (generalised least squares), their standard errors, the BLUPs
Psi Z'V^-1(y - X beta), the fitted values, AIC and BIC are computed again. Then general-purpose
optimisers look for a higher log-likelihood.
"""

import json
import re
from pathlib import Path

import formulaic
import numpy as np
import pandas as pd
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

HERE = Path("tests/reference")
TOLERANCE = {"loglik": 1e-8, "criteria": 1e-8, "gain": 1e-7}  # absolute
TOLERANCE |= {"beta": 1e-6, "se": 1e-6, "ranef": 1e-6, "fitted": 1e-6}  # in standard errors / sigma


def split(formula: str) -> tuple[str, str | None, str, str | None]:
    """'y ~ x + (z || g)' -> ('y ~ x', 'z', '||', 'g'); no random term gives None for z and g."""
    found = re.fullmatch(r"(.*?) \+ \((.+) (\|\|?) (\w+)\)", formula)
    return found.groups() if found else (formula, None, "", None)


class Dense:
    """The matrices of one entry and its log-likelihood, subject by subject."""

    def __init__(self, entry: dict):
        self.reml = entry["method"] == "REML"
        fixed, z, bar, group = split(entry["formula"])
        subject = group or entry["residual"]["subject"]
        frame = pd.read_csv(entry["data"])
        frame[subject] = frame[subject].astype(str)
        for column, levels in entry["categories"].items():
            frame[column] = pd.Categorical(frame[column].astype(str), categories=levels)
        response, right = (part.strip() for part in fixed.split("~"))
        context = {"sin": np.sin, "cos": np.cos, "pi": np.pi}
        design = formulaic.model_matrix(right, frame, context=context)
        assert list(design.columns) == entry["terms"], (list(design.columns), entry["terms"])
        self.X, self.y = design.to_numpy(float), frame[response].to_numpy(float)
        self.n, self.p = self.X.shape
        random = formulaic.model_matrix(z or "0", frame, context=context)
        self.Z, self.z_terms = random.to_numpy(float), list(random.columns)
        self.diagonal = bar == "||"
        self.levels = frame[subject].to_numpy()
        self.rows = [np.flatnonzero(self.levels == level) for level in np.unique(self.levels)]
        serial = entry["residual"]
        self.time = frame[serial["time"]].to_numpy(float) if serial else None

    def whiten(self, psi, sigma2: float, rho: float | None):
        """Rows of [X y] multiplied by V^-1/2, the sum of log|V_i|, and the factors of V_i."""
        out, logdet, factors = [], 0.0, []
        for rows in self.rows:
            V = self.Z[rows] @ psi @ self.Z[rows].T
            if self.time is None:
                V[np.diag_indices_from(V)] += sigma2
            else:
                V += sigma2 * rho ** np.abs(np.subtract.outer(self.time[rows], self.time[rows]))
            L = np.linalg.cholesky(V)
            logdet += 2 * np.log(np.diag(L)).sum()
            both = np.column_stack([self.X[rows], self.y[rows]])
            out.append(solve_triangular(L, both, lower=True))
            factors.append(L)
        return np.vstack(out), logdet, factors

    def solve(self, white):
        """Generalised least squares: beta, R of the whitened X, residual sum of squares."""
        Q, R = np.linalg.qr(white[:, :-1])
        beta = solve_triangular(R, Q.T @ white[:, -1])
        return beta, R, ((white[:, -1] - white[:, :-1] @ beta) ** 2).sum()

    def loglik(self, psi, sigma2: float, rho: float | None) -> float:
        white, logdet, _ = self.whiten(psi, sigma2, rho)
        _, R, rss = self.solve(white)
        df = self.n - self.p if self.reml else self.n
        information = 2 * np.log(np.abs(np.diag(R))).sum() if self.reml else 0.0
        return -0.5 * (df * np.log(2 * np.pi) + logdet + information + rss)

    def profiled(self, parameters) -> float:
        """Minus the log-likelihood, sigma^2 at its best; parameters: Lambda, then atanh(rho)."""
        q = self.Z.shape[1]
        Lambda = np.zeros((q, q))
        Lambda[np.diag_indices(q) if self.diagonal else np.tril_indices(q)] = (
            parameters if self.time is None else parameters[:-1]
        )
        rho = None if self.time is None else np.tanh(parameters[-1])
        try:
            white, logdet, _ = self.whiten(Lambda @ Lambda.T, 1.0, rho)
        except np.linalg.LinAlgError:
            return 1e10
        _, R, rss = self.solve(white)
        df = self.n - self.p if self.reml else self.n
        information = 2 * np.log(np.abs(np.diag(R))).sum() if self.reml else 0.0
        return 0.5 * (df * (np.log(2 * np.pi * rss / df) + 1) + logdet + information)


def psi_matrix(entry: dict, terms: list[str]):
    psi = np.zeros((len(terms), len(terms)))
    for row in entry["varcorr"]:
        i, j = terms.index(row["term1"]), terms.index(row["term2"] or row["term1"])
        psi[i, j] = psi[j, i] = row["covariance"]
    return psi


def gain(dense: Dense, entry: dict, psi) -> float:
    """How much log-likelihood a search from R's estimates and from other rho adds (negative: none)."""
    sigma2, rho = entry["sigma"] ** 2, entry["rho"]
    values, vectors = np.linalg.eigh(psi / sigma2)
    root = (vectors * np.sqrt(np.clip(values, 0, None))).T
    Lambda = np.linalg.qr(root, mode="r").T if root.size else root
    q = len(psi)
    lower = Lambda[np.diag_indices(q) if dense.diagonal else np.tril_indices(q)]
    rhos = [None] if rho is None else [rho, -0.5, 0.1, 0.9]
    best = np.inf
    for start in rhos:
        x = np.append(lower, np.arctanh(start)) if start is not None else lower
        for method in ("Nelder-Mead", "BFGS"):
            found = minimize(dense.profiled, x, method=method, options={"maxiter": 1500})
            x, best = found.x, min(best, found.fun)
    return -best - entry["loglik"]


def errors(entry: dict) -> dict[str, float]:
    dense = Dense(entry)
    psi = psi_matrix(entry, dense.z_terms)
    sigma2, rho = entry["sigma"] ** 2, entry["rho"]
    white, _, factors = dense.whiten(psi, sigma2, rho)
    beta, R, _ = dense.solve(white)
    se = np.sqrt(np.diag(np.linalg.inv(R) @ np.linalg.inv(R).T))
    residual = dense.y - dense.X @ beta
    blup = {}
    fitted = dense.X @ beta
    for rows, L in zip(dense.rows, factors, strict=True):
        b = psi @ dense.Z[rows].T @ cho_solve((L, True), residual[rows])
        blup[dense.levels[rows[0]]] = dict(zip(dense.z_terms, b, strict=True))
        fitted[rows] += dense.Z[rows] @ b
    tiny = 1e-9 * entry["sigma"]  # the scale of a BLUP whose variance is zero
    spread = {row["term1"]: np.sqrt(row["covariance"]) + tiny for row in entry["varcorr"] if not row["term2"]}
    ll, bic_n = entry["loglik"], dense.n - (dense.p if dense.reml and rho is not None else 0)
    assert entry["bic_n"] == bic_n and entry["nobs"] == dense.n
    rows = entry["rows"]
    return {
        "loglik": abs(dense.loglik(psi, sigma2, rho) - ll),
        "criteria": max(
            abs(entry["aic"] + 2 * ll - 2 * entry["npar"]),
            abs(entry["bic"] + 2 * ll - np.log(bic_n) * entry["npar"]),
        ),
        "beta": np.max(np.abs(beta - entry["beta"]) / se),
        "se": np.max(np.abs(se / entry["se"] - 1)),
        "ranef": max(
            (
                abs(row["estimate"] - blup[row["level"]][row["term"]]) / spread[row["term"]]
                for row in entry["ranef"]
            ),
            default=0.0,
        ),
        "fitted": max(
            np.max(np.abs(fitted[rows] - entry["fitted"])),
            np.max(np.abs((dense.X @ beta)[rows] - entry["fitted_population"])),
        )
        / entry["sigma"],
        "gain": gain(dense, entry, psi),
    }


def finite(value) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or np.isfinite(value)


def main() -> None:
    reference = json.loads((HERE / "lmm_reference.json").read_text())
    assert finite(reference)
    print(f"{'entry':34}", *(f"{name:>9}" for name in TOLERANCE))
    failed = False
    for entry in reference["entries"]:
        found = errors(entry)
        wrong = [name for name, limit in TOLERANCE.items() if not found[name] <= limit]
        failed |= bool(wrong)
        print(f"{entry['id']:34}", *(f"{found[name]:9.1e}" for name in TOLERANCE), *wrong, flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
