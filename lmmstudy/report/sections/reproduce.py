"""Reproduce: configuration, data, versions, code, the commands and the reporting checklist."""

import json

import yaml

from lmmstudy.fitting.structures import residual_of, variance_of
from lmmstudy.report.blocks import Block, Code, Facts, Section, Text
from lmmstudy.report.data.names import FILES
from lmmstudy.report.sections.checklist import MISSING_DATA, checklist
from lmmstudy.report.study import Json, Study
from lmmstudy.report.words.numbers import count

ORDER = (
    "title",
    "description",
    "path",
    "subject",
    "time",
    "response",
    "fixed",
    "group",
    "question",
    "categories",
    "candidates",
    "time_label",
    "response_label",
)
"""Keys of a stanza in the order of reading; what is not named here, mostly defaults, comes last."""

SEED = (
    "Random numbers are drawn for the bands of the normal plots alone, always from the same seed, so that a "
    "new run gives the same page."
)


def section(study: Study) -> Section:
    """What is needed to get the same page again."""
    source = study.clean["source"]
    items = [("Raw file", source["path"])]
    if source.get("sha256"):
        items += [("Raw file, SHA-256", source["sha256"]), ("Raw file, size", count(source["bytes"], "byte"))]
    winner = study.winner
    if winner:
        provenance = winner["provenance"]
        items.append(("Clean data, SHA-256", provenance["data_sha256"]))
        items.append(("Versions", ", ".join(f"{k} {v}" for k, v in provenance["versions"].items())))
        items.append(("Code of the fit", provenance["code"]))
    items.append(("Code of the report", study.code))
    items.append(("Data of this page", f"reports/{study.dataset}/: {', '.join(FILES)}"))
    blocks: list[Block] = [Facts(tuple(items)), Text(f"{MISSING_DATA} {SEED}")]
    ordered = sorted(
        study.design.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)
    )
    stanza = {"datasets": {study.dataset: dict(ordered)}, "report": dict(study.options)}
    blocks.append(Code("Configuration of this dataset", _yaml(stanza)))
    blocks.append(Code("The command", f"snakemake --cores 1 reports/{study.dataset}.html"))
    if winner:
        blocks.append(Code("The selected model in Python", _python(study, winner)))
    blocks.append(checklist(study))
    return Section("reproduce", "Reproduce", tuple(blocks))


def _yaml(stanza: dict) -> str:
    return yaml.safe_dump(
        json.loads(json.dumps(stanza)), sort_keys=False, allow_unicode=True, width=100
    ).rstrip()


def _python(study: Study, model: Json) -> str:
    arguments = [repr(model["formula"]), repr(f"results/{study.dataset}/clean.parquet")]
    residual, variance = residual_of(model["residual_structure"]), variance_of(model["variance"])
    if residual is not None:
        arguments.append(f"residual=lmm.{residual!r}".replace(", by=None", ""))
    if variance is not None:
        arguments.append(f"variance=lmm.{variance!r}")
    if study.design.get("categories"):
        levels = {name: [str(v) for v in named] for name, named in study.design["categories"].items()}
        arguments.append(f"categories={levels!r}")
    joined = ",\n    ".join(arguments)
    return f"import lmmcore as lmm\n\nfit = lmm.fit(\n    {joined},\n)\nprint(fit)"
