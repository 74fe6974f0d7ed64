"""The report of one fit: what `Fit.report` calls, by the entry point group `lmmcore.report`.

The rows of the fit go the way of a dataset of a study: an audit, a record, a selection of one, a page. So the
page is the same, less the candidates, and says the same numbers as the fit.
"""

import platform
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

import lmmcore as lmm
from lmmcore.errors import DataError
from lmmcore.runtime.stored import spare
from lmmstudy.base.files import PAGE_OF_FIT, name_of_page, read_json, write_json, write_page
from lmmstudy.clean import audit as clean_audit
from lmmstudy.clean.layout import Layout
from lmmstudy.fitting.candidate import COMPARABLE, fit_candidate
from lmmstudy.report import page
from lmmstudy.report.blocks import Chip, Code, Facts, PageData, Section
from lmmstudy.report.refit.fit_design import Source, source

OPTIONS = {"df": "satterthwaite", "conf_level": 0.95}
SAME = 1e-6
"""Relative difference of deviances that counts as the same fit."""


def for_fit(fit: lmm.Fit, path: str | Path, title: str | None = None, force: bool = False) -> None:
    """Write the report of `fit` to the file `path`, one self-contained HTML page.

    title : heading of the page, by default what was fitted. force : whether a file that is no earlier report
    is replaced. Raises FitError with a sentence for a fit that has no report: prior weights, an offset,
    structures of one's own; DataError where nothing can be written, or another file would be replaced.
    """
    if not force:
        spare(Path(path), "The report", is_report)
    text = page.render(content(fit, title))
    try:
        write_page(text, path, PAGE_OF_FIT)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The report cannot be written to {str(path)!r}: {reason}.") from None


def is_report(path: Path) -> bool:
    """Whether the file is what `for_fit` wrote. Raises Damaged, OSError."""
    return name_of_page(path) == PAGE_OF_FIT


def content(fit: lmm.Fit, title: str | None = None) -> PageData:
    """All content of the page."""
    given = source(fit)
    heading = title or f"{given.stanza['response']} over {given.stanza['time']}"
    design = {**given.stanza, "title": heading}
    with TemporaryDirectory() as folder:
        files = {name: str(Path(folder, name)) for name in ("rows.parquet", "clean", "record", "selection")}
        given.frame.write_parquet(files["rows.parquet"])
        write_json(audit(fit, given), files["clean"])
        jobs: dict[str, Any] = {"dataset": design, "model": {}, "report": OPTIONS, "formula": fit.formula}
        jobs |= {"residual_structure": given.residual, "variance": given.variance}
        fit_candidate("fit", "fit", files["rows.parquet"], files["clean"], jobs, "", files["record"])
        _check(fit, read_json(files["record"]))
        selection = {"selected": "fit", "status": "ok", "message": "", "criterion": "given"}
        write_json(selection | {"alpha": None, "ladder": [], "tests": []}, files["selection"])
        named = (files["clean"], files["rows.parquet"], [files["record"]], files["selection"])
        whole = page.assemble(page.read_study("fit", *named, design, OPTIONS, ""))
    method = "maximum likelihood (ML)" if fit.method == "ML" else "restricted maximum likelihood (REML)"
    told = f"The fit is by {method}."
    if fit.method == "ML":
        told += " The estimates shown are by REML, the criteria by both."
    sections = tuple(s for s in whole.sections if s.id not in ("candidates", "reproduce"))
    return replace(
        whole,
        dataset=fit.formula,
        description=told,
        home="",
        chips=(Chip("Method", fit.method), *whole.chips[1:]),
        sections=(*sections, reproduce(fit, given)),
    )


def audit(fit: lmm.Fit, given: Source) -> dict[str, Any]:
    """The rows of the fit as the audit of a dataset has them."""
    table, frame, stanza = fit.solution.model.table, given.frame, given.stanza
    roles = [stanza[role] for role in ("subject", "time", "response")]
    layout = Layout({**stanza, "covariates": [name for name in frame.columns if name not in roles]})
    # Where a row lacks several values, the fit has counted the first alone.
    missing = {name: table.dropped.get(f"missing {name}", 0) for name in layout.columns}
    columns = clean_audit.column_summaries(frame, missing, layout)
    subjects = frame[layout.subject].n_unique()
    return {
        "dataset": "fit",
        "status": "ok",
        "message": "",
        "source": {"path": stanza["path"]},
        "rows": {"read": table.rows_read, "used": table.n, "dropped": dict(table.dropped)},
        "subjects": {"read": subjects, "used": subjects},
        "columns": columns,
        "duplicates": _repeated(frame, layout),
        "coercions": [],
        "out_of_range": [],
        "visits": clean_audit.visits(frame.sort(layout.key), layout),
        "attrition": clean_audit.attrition(frame, layout),
        "provenance": {"config": dict(stanza)},
    }


def _repeated(frame: pl.DataFrame, layout: Layout) -> dict[str, Any]:
    """Rows of the same subject at the same time; all of them are used."""
    keys = [layout.subject, layout.time]
    rows = frame.with_row_index("#row", 1).group_by(keys, maintain_order=True)
    found = rows.agg("#row", pl.col(layout.response).alias("#values")).filter(pl.col("#row").list.len() > 1)
    kinds: dict[str, list[dict[str, Any]]] = {"identical": [], "conflicting": []}
    for subject, time, places, values in found.iter_rows():
        kind = "conflicting" if len(set(values)) > 1 else "identical"
        kinds[kind].append({"subject": subject, "time": time, "rows": places, "values": values})
    return {"policy": "all are used", **kinds}


def _check(fit: lmm.Fit, record: Mapping[str, Any]) -> None:
    """The record is of the same fit. Raises FitError."""
    if record["status"] not in (*COMPARABLE, "not_converged"):
        raise lmm.FitError(f"The fit cannot be repeated for its report: {record['message']}")
    again = record[fit.method.lower()]["deviance"]
    if abs(again - fit.deviance) > SAME * max(1.0, abs(fit.deviance)):
        raise lmm.FitError(
            f"The fit has deviance {fit.deviance:.9g}, but repeated for its report {again:.9g}: please "
            "report this, with the data, as a defect of lmmcore."
        )


def reproduce(fit: lmm.Fit, given: Source) -> Section:
    """What is needed to get the same page again."""
    rows = given.frame.write_csv().encode()
    packages = ("numpy", "scipy", "polars")
    versions = {"python": platform.python_version(), "lmmcore": lmm.__version__}
    versions |= {name: version(name) for name in packages}
    items = (
        ("Rows used as CSV, SHA-256", sha256(rows).hexdigest()),
        ("Versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    )
    call = Code("The fit and this page in Python", _python(fit))
    return Section("reproduce", "Reproduce", (Facts(items), call))


def _python(fit: lmm.Fit) -> str:
    spec = fit.solution.model.spec
    arguments = [repr(fit.formula), "data"]
    if fit.method == "ML":
        arguments.append("method='ML'")
    for name, structure in (("residual", spec.residual), ("variance", spec.variance)):
        if structure is not None:
            arguments.append(f"{name}=lmm.{structure!r}".replace(", by=None", ""))
    if spec.categories:
        arguments.append(f"categories={dict(spec.categories)!r}")
    joined = ",\n    ".join(arguments)
    return f'import lmmcore as lmm\n\nfit = lmm.fit(\n    {joined},\n)\nfit.report("page.html")'
