"""The likelihood with V written out, by SDs, correlations, sigma and the parameters of the residual.

Nothing here uses the engine's scales or derivatives: parameters are named as in components(), and unbounded
for an optimiser by the transformations below.
"""

import numpy as np
from scipy.optimize import minimize

FAR = 1e10  # deviance where V cannot be inverted
LOG = (np.log, np.exp)
FISHER = (np.arctanh, np.tanh)
LOGIT = (lambda x: np.log(x / (1 - x)), lambda u: 1 / (1 + np.exp(-u)))
PLAIN = (lambda x: x, lambda u: u)


def transformation(term):
    """(to an unbounded scale, back) of a parameter by its name."""
    if term.startswith(("sd__", "sd(", "range")):
        return LOG
    if term.startswith(("cor", "rho")):
        return FISHER
    return LOGIT if term == "nugget" else PLAIN


def unbounded(names, values):
    return np.array([transformation(term)[0](v) for (_, term), v in zip(names, values, strict=True)])


def natural(names, u):
    return np.array([transformation(term)[1](v) for (_, term), v in zip(names, u, strict=True)])


class Written:
    """-2 log likelihood of a model by V; names : (group, term) of the covariance parameters, in order."""

    def __init__(self, model, names):
        self.model, self.names = model, names
        self.X = np.column_stack([model.rows.X[k] for k in model.coordinates.kept])
        self.Z = np.array(model.rows.Z).reshape(-1, model.n)
        self.same = [unit.subject[:, None] == unit.subject for unit in model.rows.units]

    def covariance(self, values):
        model = self.model
        known = dict(zip(self.names, values, strict=True))
        V = np.eye(model.n)
        if model.structure is not None:
            own = np.array([known["Residual", name] for name in model.structure.parameter_names])
            for part in model.structure.parts:
                if getattr(part.law, "as_rho", False):  # computed with its range
                    own[part.place.start] = -1 / np.log(own[part.place.start])
            V = np.where(self.same[-1], model.structure.covariance(own, np.arange(model.n)), 0.0)
        V *= known["Residual", "sd__Observation"] ** 2
        if model.rows.weights is not None:
            V /= np.sqrt(np.outer(model.rows.weights, model.rows.weights))
        for block in model.blocks:
            Z = self.Z[list(block.columns)]
            V += np.where(self.same[block.level], Z.T @ self.psi(block, known) @ Z, 0.0)
        return V

    def psi(self, block, known):
        names, group = block.names, block.group
        if block.kind != "unstructured":
            joined = ",".join(names)
            correlation = known.get((group, f"cor__{joined}"), 0.0)
            own = np.where(np.eye(len(names)) > 0, 1.0, correlation)
            return own * known[group, f"sd__{joined}"] ** 2
        sd = np.array([known[group, f"sd__{name}"] for name in names])
        own = np.eye(len(names))
        for j, second in enumerate(names):
            for i, first in enumerate(names[:j]):
                own[i, j] = own[j, i] = known[group, f"cor__{first}.{second}"]
        return own * np.outer(sd, sd)

    def deviance(self, values, reml=False, held=None):
        """held : (place, value) of a fixed effect; the others are at their best."""
        y, X = self.model.rows.y, self.X
        if held is not None:
            y = y - X[:, held[0]] * held[1]
            X = np.delete(X, held[0], axis=1)
        try:
            with np.errstate(all="ignore"):
                lower = np.linalg.cholesky(self.covariance(values))
        except np.linalg.LinAlgError:
            return FAR
        if not np.isfinite(lower).all() or np.diag(lower).min() < 1e-100:
            return FAR
        y, X = np.linalg.solve(lower, y), np.linalg.solve(lower, X)
        left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        n, p = X.shape
        deviance = 2 * np.log(np.diag(lower)).sum() + left @ left + (n - p * reml) * np.log(2 * np.pi)
        return deviance + (np.linalg.slogdet(X.T @ X)[1] if reml else 0)

    def lowest(self, start, fixed=None, held=None):
        """The least ML deviance; fixed : {name: value} of covariance parameters; held : see deviance."""
        fixed = fixed or {}
        free = [k for k, name in enumerate(self.names) if name not in fixed]
        names = [self.names[k] for k in free]

        def value(u):
            values = np.array([fixed.get(name, 0.0) for name in self.names])
            values[free] = natural(names, u)
            return self.deviance(values, held=held)

        if not free:
            return value(np.empty(0))
        first = minimize(
            value, unbounded(names, np.asarray(start)[free]), method="BFGS", options={"gtol": 1e-7}
        )
        again = minimize(value, first.x, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
        return min(first.fun, again.fun)


def hessian(function, at, step):
    """Second derivatives by central differences of step : (k,), extrapolated once (Richardson)."""
    at, k = np.asarray(at, dtype=float), len(at)

    def central(h):
        result = np.empty((k, k))
        for i in range(k):
            for j in range(i + 1):
                a, b = h * step[i] * np.eye(k)[i], h * step[j] * np.eye(k)[j]
                corners = (
                    function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
                )
                result[i, j] = result[j, i] = corners / (4 * h**2 * step[i] * step[j])
        return result

    return (4 * central(0.5) - central(1.0)) / 3
