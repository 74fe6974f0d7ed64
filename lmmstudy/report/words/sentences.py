"""Sentences of the report, each made from results by a template. No adjectives for the size of an effect."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lmmstudy.report.words.numbers import count, decimals_for, fixed, fmt, limits, p_sentence, percent
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.residual import residual_words
from lmmstudy.report.words.residual_numbers import subject_name

DF_METHODS = {
    "satterthwaite": "Satterthwaite",
    "kenward-roger": "Kenward–Roger",
    "residual": "residual (rows minus fixed effects)",
    "asymptotic": "asymptotic (normal distribution)",
}
CRITERIA = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "lrt": "likelihood-ratio tests"}
STATUS = {
    "ok": "converged",
    "singular": "converged on the boundary (singular)",
    "not_converged": "did not converge",
    "not_applicable": "does not apply to these data",
    "error": "failed",
}

VERDICT = {"ok": "converged", "singular": "singular", "not_converged": "not converged"}
TONE = {"ok": "good", "singular": "warning", "not_converged": "bad"}


def level_text(conf_level: float) -> str:
    """ "95%"; "99.5%"."""
    return f"{100 * conf_level:g}%"


def random_terms(model: Mapping[str, Any]) -> dict[str, list[str]]:
    """Random effects of each grouping factor, in the order of the model."""
    groups: dict[str, list[str]] = {}
    for row in model["random"] or ():
        if row["group"] != "Residual" and row["term2"] is None:
            groups.setdefault(row["group"], []).append(row["term1"])
    return groups


def effect_words(term: str) -> str:
    """ "random intercept", "random slope of Days"."""
    return "random intercept" if term == "Intercept" else f"random slope of {term}"


def model_words(model: Mapping[str, Any]) -> str:
    """ "random intercept and random slope of Days for each Subject, independent residuals"."""
    parts = []
    for group, terms in random_terms(model).items():
        named = [effect_words(term) for term in terms]
        parts.append(f"{listing(named)} for each {group}")
    structure = model["residual_structure"]
    within = f" within each {subject_name(model)}" if structure and not parts else ""
    return ", ".join([*parts, residual_words(model, within)])


def selected_how(criterion: str, alpha: float | None) -> str:
    """How the model was chosen, as a sentence; "given" is a fit of one's own, which competes with none."""
    if criterion == "given":
        return "It is the model that was given."
    if criterion == "lrt":
        return f"It was chosen by likelihood-ratio tests at level {fmt(alpha, 2)} (ML fits)."
    return f"It has the smallest {CRITERIA[criterion]} of the candidates (ML fits)."


def estimate_words(statement: str, row: Mapping[str, Any], conf_level: float) -> str:
    """One fixed effect as a sentence with its interval and test; the statement ends before the number."""
    decimals = decimals_for(row["std_error"])
    low, high = limits(row["conf_low"], row["conf_high"], decimals)
    interval = f"{level_text(conf_level)} CI {low} to {high}; {p_sentence(row['p_value'])}"
    return f"{statement} {fixed(row['estimate'], decimals)} ({interval})."


def test_words(row: Mapping[str, Any]) -> str:
    """A term's F test as a sentence that starts with its hypothesis."""
    den = "∞" if row["den_df"] is None else fmt(row["den_df"])
    test = f"F({fmt(row['num_df'])}, {den}) = {fixed(row['statistic'], 3)}"
    return f"Hypothesis: {row['hypothesis']} {test}; {p_sentence(row['p_value'])}."


def rows_words(clean: Mapping[str, Any]) -> str:
    """Rows read, used and not used, with the reasons."""
    rows = clean["rows"]
    if not rows["read"]:
        return "No rows were read."
    left = rows["read"] - rows["used"]
    text = f"{count(rows['read'], 'row')} read, {rows['used']:,} used"
    if not left:
        return text + ", none left out."
    reasons = listing(f"{n:,} {reason}" for reason, n in rows["dropped"].items() if n)
    return f"{text}, {left:,} not used ({reasons})."


_CHI = re.compile(r"(?:(\d+)/(\d+)|(\d*\.\d+|\d+))?\s*\*?\s*chi2\((\d+)\)")


def distribution_words(text: str) -> str:
    """The null distribution of a likelihood-ratio statistic, from e.g. "1/2 chi2(0) + 1/2 chi2(1)"."""
    shares, names = [], []
    for piece in text.split("+"):
        match = _CHI.fullmatch(piece.strip())
        if match is None:
            return text
        top, bottom, decimal, df = match.groups()
        shares.append(int(top) / int(bottom) if top else float(decimal) if decimal else 1.0)
        names.append(f"χ²({df})")
    if shares == [1.0]:
        return names[0]
    if shares == [0.5, 0.5]:
        return f"half {names[0]}, half {names[1]}"
    return listing(f"{percent(share)} {name}" for share, name in zip(shares, names, strict=True))


def parameter_words(group: str, term: str) -> str:
    """ "SD of Days for Subject", "correlation of Intercept and Days for Subject", "residual SD", "rho"."""
    if term == "sd__Observation":
        return "residual SD"
    if term.startswith("sd__"):
        return f"SD of {term.removeprefix('sd__')} for {group}"
    if term.startswith("cor__"):
        return f"correlation of {term.removeprefix('cor__').replace('.', ' and ', 1)} for {group}"
    return term


def zero_variance_words(group: str, terms: Iterable[str]) -> str:
    """Instead of an empty plot."""
    named = listing(f"the random {'intercept' if t == 'Intercept' else 'effect of ' + t}" for t in terms)
    return (
        f"The estimated variance of {named} for {group} is 0: the data show no more variation between "
        f"levels of "
        f"{group} than the residuals explain, so all predicted effects are 0 and no plot is drawn."
    )


def implied_n(fit: Mapping[str, Any]) -> tuple[str, ...]:
    """Which n AIC, AICc and BIC count, read off the numbers themselves: the sentences under the table of
    criteria."""
    base, k = -2 * fit["loglik"], fit["npar"]
    words = [f"AIC = −2 log-likelihood + 2 × {k}, counting fixed effects, (co)variance parameters and σ."]
    if fit.get("aicc") is not None and fit["aicc"] > fit["aic"]:
        words.append(f"AICc uses n = {round(2 * k * (k + 1) / (fit['aicc'] - fit['aic']) + k + 1):,}.")
    if fit.get("bic") is not None and k:
        words.append(f"BIC uses n = {round(math.exp((fit['bic'] - base) / k)):,}.")
    return tuple(words)
