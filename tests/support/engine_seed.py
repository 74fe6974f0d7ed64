"""Estimates of a fit under the names that the file of the seeds' numbers uses."""

import numpy as np


def common(prefix, fit, short=None):
    """Estimates of a REML fit under the names that the reference file uses."""
    values = {f"{prefix}.remlcrit": fit.deviance, f"{prefix}.nobs": fit.nobs}
    for group, size in fit.groups.items():
        values[f"{prefix}.ngrps.{group}"] = size
    pearson = fit.augment()["residual_pearson"].to_numpy()
    for name, share in zip(("min", "q1", "median", "q3", "max"), (0, 0.25, 0.5, 0.75, 1), strict=True):
        values[f"{prefix}.sresid.{name}"] = np.quantile(pearson, share)
    for row in fit.varcorr().iter_rows(named=True):
        if row["term1"] is None:
            values[f"{prefix}.var.Residual"], values[f"{prefix}.sd.Residual"] = row["covariance"], row["sd"]
        elif row["term2"] is None:
            place = f"{row['group']}.{in_r(row['term1'])}"
            values[f"{prefix}.var.{place}"], values[f"{prefix}.sd.{place}"] = row["covariance"], row["sd"]
        else:
            pair = f"{in_r(row['term1'])}.{in_r(row['term2'])}"
            values[f"{prefix}.{row['group']}.corr.{pair}"] = row["correlation"]
    for row in fit.tidy().iter_rows(named=True):
        place = f"{prefix}.fixef.{in_r(row['term'])}"
        for ours, theirs in (
            ("estimate", "est"),
            ("std_error", "se"),
            ("df", "df"),
            ("statistic", "t"),
            ("p_value", "p"),
        ):
            values[f"{place}.{theirs}"] = row[ours]
    correlation = fit.vcov / np.outer(*[np.sqrt(np.diag(fit.vcov))] * 2)
    short = short or (lambda term: in_r(term).strip("()"))
    for i, first in enumerate(fit.terms):
        for j, second in enumerate(fit.terms[:i]):
            values[f"{prefix}.corfix.{short(first)}.{short(second)}"] = correlation[i, j]
    return values


def in_r(term):
    """formulaic's term in R's spelling: treat[T.B] is treatB."""
    if term == "Intercept":
        return "(Intercept)"
    return term.replace("[T.", "").replace("[", "").replace("]", "")
