"""Model: the equation with its numbers, the formula, the coding of categories."""

from lmmstudy.report.blocks import Block, Code, Equation, Section, Table, Text
from lmmstudy.report.equation import equation, index_words
from lmmstudy.report.hypotheses import parts, reference_level
from lmmstudy.report.study import Json, Study
from lmmstudy.report.wording import ar1_words, model_words, selected_how, sentence


def section(study: Study, model: Json) -> Section:
    """The selected model in symbols."""
    how = selected_how(study.selection["criterion"], study.selection.get("alpha"))
    blocks: list[Block] = [
        Text(f"{sentence(model_words(model))} It is {how}."),
        Equation(equation(model, study.response), index_words(model, study.subject, study.time)),
    ]
    if model["residual_structure"]:
        blocks.append(Text(ar1_words(model["residual_structure"], model["residual_parameters"].get("rho"))))
    blocks.append(Code("The formula", model["formula"] + _structure(model)))
    coding = _coding(study, model)
    if coding:
        blocks.append(coding)
    return Section("model", "Model", tuple(blocks))


def _structure(model: Json) -> str:
    serial = model["residual_structure"]
    return f"\nresidual: AR(1) over {serial['time']} within {serial['subject']}" if serial else ""


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
