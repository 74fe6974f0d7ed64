"""Model: the equation with its numbers, the formula, the coding of categories."""

from lmmstudy.report.blocks import Block, Code, Equation, Section, Table, Text
from lmmstudy.report.equation.equation import equation, index_words
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.hypotheses import parts, reference_level
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.residual import meaning
from lmmstudy.report.words.sentences import model_words, selected_how

KEYS = ("type", "nugget", "time", "subject", "by", "column", "of")
"""Keys of a structure in the order of reading."""


def section(study: Study, model: Json) -> Section:
    """The selected model in symbols."""
    how = selected_how(study.selection["criterion"], study.selection.get("alpha"))
    blocks: list[Block] = [
        Text(f"{sentence(model_words(model))} {how}"),
        Equation(equation(model, study.response), index_words(model, study.subject, study.time)),
    ]
    if words := meaning(model):
        blocks.append(Text(words))
    blocks.append(Code("The formula", model["formula"] + _structure(model)))
    coding = _coding(study, model)
    if coding:
        blocks.append(coding)
    return Section("model", "Model", tuple(blocks))


def _structure(model: Json) -> str:
    """Residual and variance structure as the configuration names them."""
    lines = []
    for part, structure in (("residual", model["residual_structure"]), ("variance", model["variance"])):
        shown = {key: (structure or {}).get(key) for key in KEYS}
        named = ", ".join(f"{key}: {'true' if v is True else v}" for key, v in shown.items() if v)
        lines += [f"\n{part}: {{{named}}}"] if named else []
    return "".join(lines)


def _coding(study: Study, model: Json) -> Table | None:
    """Reference levels of the categories among the fixed effects."""
    terms = [row["term"] for row in model["fixed"]]
    names = dict.fromkeys(p.name for term in terms for p in parts(term) if p.level and study.levels(p.name))
    rows = []
    for name in names:
        levels = study.levels(name)
        reference = reference_level(name, terms, levels)
        rows.append((name, ", ".join(levels), reference or "none: each level has a coefficient"))
    return (
        Table("Coding of categories", ("Column", "Levels", "Reference level"), tuple(rows), "lll")
        if rows
        else None
    )
