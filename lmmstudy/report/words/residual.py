"""Sentences about residual and variance structures."""

import math

from lmmstudy.report.words.numbers import decimals_for, fixed, fmt
from lmmstudy.report.words.phrases import listing
from lmmstudy.report.words.residual_numbers import (
    UNEQUAL,
    Json,
    by_level,
    kind,
    ratios,
    subject_name,
    variance_kind,
    visits,
)

# A rho per unit of time nearer to 0 or 1 says little: the unit is a large or a small one.
ODD_UNIT = 1e-3
KINDS = {
    "": "independent residuals",
    "ar1": "residuals AR(1)",
    "car1": "residuals continuous-time AR(1)",
    "exponential": "residuals with exponential correlation",
    "gaussian": "residuals with Gaussian correlation",
    "compound_symmetry": "residuals with compound symmetry",
    "toeplitz": "residuals with Toeplitz correlation",
    "unstructured": "residuals with unstructured covariance",
    "ante_dependence": "ante-dependent residuals",
    "random_walk": "residuals that follow a random walk",
}
FUNCTIONS = {
    "ar1": "ρ to the power d",
    "car1": "ρ to the power d",
    "exponential": "exp(−d/r)",
    "gaussian": "exp(−(d/r)²)",
}


def rho_text(rho: float) -> str:
    """A correlation with three decimals, more where it is near 1 or -1."""
    return fixed(rho, max(3, decimals_for(1 - abs(rho), 2)))


def power_of(model: Json) -> str:
    """What the residual SD is a power of."""
    of = model["variance"]["of"]
    return "the fitted value" if of == "fitted" else of


def residual_words(model: Json, within: str = "") -> str:
    """ "residuals with exponential correlation and nugget over Time, with a variance for each level of Diet";
    `within` follows the correlation."""
    structure = model["residual_structure"]
    words = KINDS[kind(model)]
    if structure:
        words += " and nugget" * bool(structure["nugget"])
        words += f" over {structure['time']}" if structure["time"] else ""
    words += within
    if structure and structure.get("by"):
        words += f", of their own for each level of {structure['by']}"
    if not model["variance"]:
        return words
    words += "," if structure else ""
    if variance_kind(model) == "by_group":
        return f"{words} with a variance for each level of {model['variance']['column']}"
    return f"{words} with SD proportional to a power of {power_of(model)}"


def meaning(model: Json) -> str:
    """What the structures say and their estimates; "" for independent residuals of equal variance."""
    visits = (model.get("visits") or {}).get("sentence", "")
    return " ".join(sentence for sentence in (_correlation(model), visits, _variance(model)) if sentence)


def _correlation(model: Json) -> str:
    structure, parameters = model["residual_structure"], model["residual_parameters"]
    if not structure:
        return ""
    if own := by_level(model):
        by, (first, *others) = structure["by"], own
        sds = listing(f"{fmt(own[level]['sigma'])} in {by} {level}" for level in (first, *others))
        each = " ".join(f"In {by} {level}: {_correlation(of)}" for level, of in own.items())
        return f"Each level of {by} has a residual covariance of its own, with SD {sds}. {each}"
    subject, time, name = subject_name(model), structure["time"], structure["type"]
    pair = f"Residuals of the same {subject} that lie d apart in {time} have correlation"
    if name in ("ar1", "car1"):
        told = f"{pair} {FUNCTIONS[name]}; the estimate of ρ is {rho_text(parameters['rho'])}"
        rho = parameters["rho"]
        if name == "car1" and 0 < rho < 1 and not ODD_UNIT < rho < 1 - ODD_UNIT:
            told += f", so that it halves in {fmt(math.log(0.5) / math.log(rho))} of {time}"
        return f"{told}."
    if name in ("exponential", "gaussian"):
        reach = f"the estimate of the range r is {fmt(parameters['range'])}"
        if not structure["nugget"]:
            return f"{pair} {FUNCTIONS[name]}; {reach}."
        nugget = fixed(parameters["nugget"], 3)
        share = f"and that of the nugget g, the share of measurement error, is {nugget}"
        return f"{pair} (1 − g) {FUNCTIONS[name]}; {reach} {share}."
    if name == "compound_symmetry":
        return (
            f"Any two residuals of the same {subject} have correlation ρ, however far apart; the estimate of "
            f"ρ is {rho_text(parameters['rho'])}."
        )
    if name == "toeplitz":
        return (
            f"Residuals of the same {subject} have a correlation of their own for each distance in {time}, "
            "listed in the random part."
        )
    if name == "unstructured":
        found = visits(model)
        first = f"; σ is the residual SD at {time} = {found.shown[0]}" if found else ""
        return (
            f"Each {time} has a residual variance of its own and each pair of them a correlation of its own, "
            f"listed in the random part{first}."
        )
    if name == "ante_dependence":
        found, own = visits(model), structure["heterogeneous"]
        first = f"; σ is the residual SD at {time} = {found.shown[0]}" if found and own else ""
        variance = "a residual variance of its own" if own else "the same residual variance"
        return (
            f"Each {time} has {variance} and depends on the one before: the correlation of two of them is "
            f"the product of those of neighbours in between, listed in the random part{first}."
        )
    return (
        f"The residual of one {subject} at {time} = t is a sum of independent steps, one a unit of {time} "
        f"from 0 at {time} = 0: its variance is σ² t, and the residuals at s and t have covariance "
        "σ² min(s, t)."
    )


def _variance(model: Json) -> str:
    levels = ratios(model)
    if levels:
        column, (reference, *others) = model["variance"]["column"], levels
        times = listing(f"by {fmt(levels[name])} in {column} {name}" for name in others)
        return f"Compared with {column} {reference}, the residual SD is multiplied {times}."
    if variance_kind(model) == "power":
        exponent = fmt(model["residual_parameters"]["power"])
        beyond = " beyond that" if kind(model) in UNEQUAL else ""
        return (
            f"The residual SD is{beyond} proportional to the absolute value of {power_of(model)} to the "
            f"power δ; the estimate of δ is {exponent}."
        )
    return ""


def residual_row(model: Json) -> str:
    """Name of the residual variance in the table of variances: which rows have it."""
    where = []
    structure, levels = model["residual_structure"], ratios(model)
    if own := by_level(model):
        first, of = next(iter(own.items()))
        inner = residual_row(of).removeprefix("Residual").removeprefix(" at ")
        where.append(f"{structure['by']} {first}" + f", {inner}" * bool(inner))
    found = visits(model) if (structure or {}).get("heterogeneous", True) else None
    if found:
        where.append(f"{structure['time']} {found.shown[0]}")
    if kind(model) == "random_walk":
        where.append(f"{structure['time']} 1")
    if levels:
        where.append(f"{model['variance']['column']} {next(iter(levels))}")
    if variance_kind(model) == "power":
        where.append(f"{power_of(model)} 1")
    return f"Residual at {', '.join(dict.fromkeys(where))}" if where else "Residual"


def boundary_words(phrase: str, model: Json) -> str:
    """A phrase of the certificate about a residual parameter, e.g. "nugget is 0", with what it means."""
    meanings = {
        "nugget is 0": "no measurement error is seen beside the correlated residuals",
        "range is 0": "no residual correlation is seen",
        "rho is 0": "no residual correlation is seen",
        "rho is 1": f"all residuals of one {subject_name(model)} are the same",
    }
    text = f"Residual parameter on the boundary: {phrase}"
    plain = phrase.rsplit(": ", 1)[-1]
    return f"{text} ({meanings[plain]})" if plain in meanings else text
