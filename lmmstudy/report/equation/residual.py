"""The distribution of the residuals as rows of the equation, with estimates in place of parameters."""

from dataclasses import dataclass

from lmmstudy.report.equation import mathml as m
from lmmstudy.report.words.numbers import fixed, fmt, plain
from lmmstudy.report.words.residual import rho_text
from lmmstudy.report.words.residual_numbers import Json, by_level, kind, lags, ratios, variance_kind, visits

MOST = 6
"""Most visits of a matrix and distances of a list in the equation; the random part has them all."""


@dataclass(frozen=True)
class Index:
    """Letters of the units (outermost first), of a row and of another row."""

    units: str
    row: str
    other: str

    @property
    def all(self) -> str:
        """Index of a row."""
        return self.units + self.row


def residual_rows(model: Json, index: Index) -> list[m.Row]:
    """eps ~ N(0, ...) and what stands in it."""
    sigma2 = next(r["covariance"] for r in model["random"] if r["group"] == "Residual")
    if not kind(model):
        if not model["variance"]:
            return [(m.sub("ε", index.all), m.op("∼"), m.normal(m.num("0"), m.num(fmt(sigma2))))]
        variance = m.power(m.sub("σ", index.all), m.num("2"))
        sd = (m.sub("σ", index.all), m.op("="), _sd(model, model["sigma"], index))
        return [(m.sub("ε", index.all), m.op("∼"), m.normal(m.num("0"), variance)), sd]
    inner = "Σ" if kind(model) in ("unstructured", "ante_dependence") else "R"
    middle = [m.sub(inner, index.units)]
    extra: list[m.Row] = []
    if model["variance"]:
        # sigma stands in Sigma already, else it goes with the standard deviations.
        letter, scale = ("s", 1.0) if inner == "Σ" else ("σ", model["sigma"])
        diagonal = m.sub("S", index.units)
        middle = [diagonal, m.THIN, *middle, m.THIN, diagonal]
        of_rows = m.group([m.words("diag"), m.op("("), m.sub(letter, index.all), m.op(")")])
        extra = [
            (diagonal, m.op("="), of_rows),
            (m.sub(letter, index.all), m.op("="), _sd(model, scale, index)),
        ]
    elif inner == "R":
        scale2 = m.num(fmt(sigma2))
        if by_level(model):  # each level has its own
            scale2 = m.power(m.sub("σ", index.units), m.num("2"))
        middle = [scale2, m.THIN, *middle]
    head = (m.sub("ε", index.units), m.op("∼"), m.normal(m.num("0"), m.group(middle)))
    return [head, *extra, *_correlation(model, index)]


def _sd(model: Json, scale: float, index: Index) -> str:
    """The standard deviation of a row."""
    if variance_kind(model) == "by_group":
        column = model["variance"]["column"]
        pieces = [
            m.group([m.num(fmt(scale * ratio)), m.THIN, m.name(f"[{column} = {level}]")])
            for level, ratio in ratios(model).items()
        ]
        return m.group([m.op("+").join(pieces)])
    exponent = m.num(fixed(model["residual_parameters"]["power"], 3))
    of = m.sub(m.name(model["variance"]["of"]), index.all)
    size = m.power(m.group([m.op("|"), of, m.op("|")]), exponent)
    return m.group([m.num(fmt(scale)), m.THIN, size] if scale != 1 else [size])


def _correlation(model: Json, index: Index) -> list[m.Row]:
    """R or Sigma, entry by entry."""
    if own := by_level(model):
        by = model["residual_structure"]["by"]
        rows: list[m.Row] = []
        for level, of in own.items():
            given = m.words(f" for {by} = {level} with σ = {fmt(of['sigma'])}")
            rows += [(*row[:2], m.group([row[2], given])) for row in _correlation(of, index)]
        return rows
    name, parameters = kind(model), model["residual_parameters"]
    row, other = index.row, index.other
    left = m.sub("R", row + other)
    distance = m.group([m.op("|"), m.sub("t", row), m.op("−"), m.sub("t", other), m.op("|")])
    if name in ("ar1", "car1"):
        rho = m.num(rho_text(parameters["rho"]))
        base = rho if parameters["rho"] >= 0 else m.group([m.op("("), rho, m.op(")")])
        return [(left, m.op("="), m.power(base, distance))]
    apart = [m.words(f" for {row} ≠ {other}, "), m.sub("R", row * 2), m.op("="), m.num("1")]
    if name in ("exponential", "gaussian"):
        share = [m.num(fixed(1 - parameters["nugget"], 3)), m.THIN] if "nugget" in parameters else []
        ratio = m.group([distance, m.op("/"), m.num(fmt(parameters["range"]))])
        if name == "gaussian":
            ratio = m.power(m.group([m.op("("), ratio, m.op(")")]), m.num("2"))
        curve = [*share, m.words("exp"), m.op("("), m.op("−"), ratio, m.op(")")]
        return [(left, m.op("="), m.group([*curve, *(apart if share else [])]))]
    if name == "compound_symmetry":
        return [(left, m.op("="), m.group([m.num(rho_text(parameters["rho"])), *apart]))]
    if name == "toeplitz":
        listed = [
            m.group(["<mi>ρ</mi>", m.op("("), m.num(plain(lag)), m.op(")"), m.op("="), m.num(rho_text(rho))])
            for lag, rho in lags(model)[:MOST]
        ]
        dots = [m.words("…")] if len(lags(model)) > MOST else []
        value = m.group(["<mi>ρ</mi>", m.op("("), distance, m.op(")")])
        return [(left, m.op("="), value), ("", "", m.group([m.words(", ").join([*listed, *dots])]))]
    if name == "random_walk":
        times = [m.op("("), m.sub("t", row), m.op(","), m.THIN, m.sub("t", other), m.op(")")]
        return [(left, m.op("="), m.group([m.words("min"), *times]))]
    found = visits(model)
    if found is None or len(found.names) > MOST:
        return []
    time = model["residual_structure"]["time"]
    where = f" at {time} {', '.join(found.shown)}"
    cells = [[m.value(v) for v in line] for line in found.covariance]
    return [("<mi>Σ</mi>", m.op("="), m.group([m.matrix(cells), m.words(where)]))]
