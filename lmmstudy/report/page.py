"""One page a dataset: results in, one self-contained HTML file out.

`assemble` turns results into plain page data, `render` those into HTML; both are pure and use no clock, so
equal results give equal bytes. `write_dataset` reads and writes the files.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmmstudy.base.files import read_json, write_page
from lmmstudy.report.absent import no_model
from lmmstudy.report.alerts import alerts
from lmmstudy.report.attempt import Attempts, missing, parts, reason
from lmmstudy.report.blocks import Alert, Chip, PageData, Section, Text
from lmmstudy.report.charts.profiles import FULL
from lmmstudy.report.data.files import write_files
from lmmstudy.report.refit import refit as results
from lmmstudy.report.refit.rows import rows as rows_of
from lmmstudy.report.sections import (
    answer,
    candidates,
    data,
    design,
    diagnostics,
    fit,
    fixed,
    model,
    predictions,
    random,
    reproduce,
)
from lmmstudy.report.study import Study
from lmmstudy.report.template import html
from lmmstudy.report.words.numbers import count
from lmmstudy.report.words.phrases import sentence
from lmmstudy.report.words.sentences import TONE, VERDICT, model_words

SECTIONS: Mapping[str, tuple[str, Callable[..., Section]]] = {
    "answer": ("Answer", answer.section),
    "design": ("Design", design.section),
    "data": ("Data", data.section),
    "model": ("Model", model.section),
    "fit": ("Fit", fit.section),
    "random": ("Random part", random.section),
    "fixed": ("Fixed part", fixed.section),
    "diagnostics": ("Diagnostics", diagnostics.section),
    "candidates": ("Candidates", candidates.section),
    "predictions": ("Predictions", predictions.section),
    "reproduce": ("Reproduce", reproduce.section),
}
OF_MODEL = ("model", "fit", "random", "fixed", "diagnostics", "predictions")
"""Sections that need a selected model."""
NOTHING = (Text("No model was selected, so there is nothing to show here."),)
MOST_SUBJECTS = 2 * FULL
"""Up to this many subjects can be chosen for highlighting."""


def write_dataset(
    dataset: str,
    clean_json: str,
    clean_parquet: str,
    models: Sequence[str],
    selection_json: str,
    design: Mapping[str, Any],
    report: Mapping[str, Any],
    code: str,
    out: str,
) -> None:
    """Write the page of a dataset to `out`, and its numbers to the folder of that name beside it; the other
    arguments are those of `read_study`."""
    study = read_study(dataset, clean_json, clean_parquet, models, selection_json, design, report, code)
    write_page(render(assemble(study)), out, dataset)
    write_files(study, Path(out).with_suffix(""))


def read_study(
    dataset: str,
    clean_json: str,
    clean_parquet: str,
    models: Sequence[str],
    selection_json: str,
    design: Mapping[str, Any],
    report: Mapping[str, Any],
    code: str,
) -> Study:
    """The result files of a dataset, and its selected model fitted again; `design` is the dataset's stanza
    of the configuration, `code` the fingerprint."""
    import polars as pl

    clean, selection = read_json(clean_json), read_json(selection_json)
    read = {str(m["model"]): m for m in map(read_json, models)}
    frame = pl.read_parquet(clean_parquet) if Path(clean_parquet).is_file() else None
    rows = rows_of(frame, design) if frame is not None and frame.height else None
    fitted, trouble = None, ""
    winner = read.get(selection.get("selected") or "")
    if winner is not None and rows is not None:
        try:
            fitted = results.refit(clean_parquet, frame, winner, design, float(report["conf_level"]))
        except Exception as error:
            trouble = f"the selected model could not be fitted again for the plots: {reason(error)}"
    return Study(dataset, clean, read, selection, design, report, code, rows, fitted, trouble)


def assemble(study: Study) -> PageData:
    """All content of the page."""
    winner = study.winner
    words = sentence(model_words(winner)) if winner else no_model(study.clean, study.selection)
    subjects = tuple(dict.fromkeys(study.rows.subject)) if study.rows else ()
    sections = tuple(_section(study, name, title, make) for name, (title, make) in SECTIONS.items())
    attempt = Attempts()
    found = attempt("The alerts", lambda: alerts(study), ())
    failed = tuple(Alert(missing(what, why).text, "fit") for what, why in attempt.lost.items())
    return PageData(
        dataset=study.dataset,
        title=str(study.design.get("title") or study.dataset),
        description=str(study.design.get("description") or ""),
        model=words,
        chips=chips(study),
        alerts=(*found, *failed),
        sections=tuple(section for section in sections if section.blocks),
        subjects=subjects if len(subjects) <= MOST_SUBJECTS else (),
    )


def _section(study: Study, name: str, title: str, make: Callable[..., Section]) -> Section:
    """A section whatever happens: what fails in it as a whole is a sentence."""
    winner = study.winner
    if name not in OF_MODEL:
        return Section(name, title, parts({}, (f"The section {title}", lambda: make(study).blocks)))
    if winner is None:
        return Section(name, title, NOTHING)
    return Section(name, title, parts({}, (f"The section {title}", lambda: make(study, winner).blocks)))


def chips(study: Study) -> tuple[Chip, ...]:
    """The verdict strip."""
    rows, subjects = study.clean["rows"], study.clean["subjects"]
    winner = study.winner
    if winner is None:
        first = [Chip("Selected model", "none", "bad")]
    else:
        status = winner["status"]
        first = [Chip("Selected model", winner["model"]), Chip("Fit", VERDICT[status], TONE[status])]
    left = rows["read"] - rows["used"]
    size = f"{count(rows['read'], 'row')}, all used" if rows["read"] else "none read"
    if left:
        size = f"{rows['used']:,} used of {rows['read']:,} read"
    return (*first, Chip("Rows", size, "warning" if left else ""), Chip("Subjects", f"{subjects['used']:,}"))


def render(page: PageData) -> str:
    """The page as HTML."""
    return html.render("page.html.j2", page=page)
