"""One candidate model fitted to one clean dataset: the record of what came of it.

A model that cannot be fitted is a result like any other. The record's `status` says what happened:
`ok`; `singular`, an estimate on the boundary of its space (a variance of zero, a correlation of
one); `not_converged`; `not_applicable`, the model does not suit the data or the data could not be
cleaned; `error`, anything unexpected, with its traceback in the job's log. `message` is the
sentence to show.
"""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmmcore import __version__
from lmmcore.errors import LmmError
from lmmcore.output.versions import versions
from lmmstudy.base.files import read_json, write_result
from lmmstudy.base.log import fact
from lmmstudy.base.text import one_line
from lmmstudy.config.problems_formulas import lacking
from lmmstudy.fitting.bundle import write as write_bundle
from lmmstudy.fitting.engine import fit_table
from lmmstudy.fitting.limit import OutOfTime, time_limit
from lmmstudy.fitting.provenance import provenance
from lmmstudy.fitting.record import COMPARABLE, NONE, estimates

LIMIT = 1800.0
"""Seconds of processor time after which a fit is given up."""


def fit_candidate(
    dataset: str,
    model: str,
    parquet: str,
    audit: str,
    design: Mapping[str, Any],
    code: str,
    out: str,
    replay: str | None = None,
) -> None:
    """Fit `model` to the table `parquet` by ML and REML and write the record to `out`.

    `design` is the model's `fit` part of `lmmstudy.config.study.plan`; `audit` the clean.json beside the
    table. A fit that gave no estimate leaves what repeats it in the archive `replay`. Raises MemoryError,
    OSError and ImportError alone: what a full machine or disk prevents is no result, and the next run tries
    again.
    """
    config = {key: design[key] for key in ("dataset", "model", "report")}
    record: dict[str, Any] = {
        "dataset": dataset,
        "model": model,
        "formula": design["formula"],
        "residual_structure": design["residual_structure"],
        "variance": design["variance"],
        "df_method": design["report"]["df"],
        **NONE,
        "provenance": provenance(parquet, code, config),
    }
    cleaned = read_json(audit)
    if cleaned["status"] != "ok":
        record |= {"status": "not_applicable", "message": cleaned["message"]}
    elif message := lacking(design, cleaned):
        record |= {"status": "not_applicable", "message": one_line(message)}
    else:
        try:
            with time_limit(LIMIT):
                record |= _fitted(parquet, design)
        except LmmError as error:
            record |= {"status": "not_applicable", "message": str(error)}
        except OutOfTime:
            message = (
                f"The fit was given up after {LIMIT / 60:g} minutes of processor time; try a simpler model."
            )
            record |= {"status": "not_converged", "message": message}
        except (MemoryError, OSError, ImportError):  # a library that finds no memory is an ImportError
            raise
        except Exception as error:  # a defect, or data nobody thought of: the dataset keeps its report
            traceback.print_exc()
            record |= {"status": "error", "message": one_line(f"{type(error).__name__}: {error}")}
    _log(record)
    if cleaned["status"] == "ok" and replay is not None:
        _keep_or_remove(replay, parquet, design, record)
    write_result(record, out)


def _log(record: Mapping[str, Any]) -> None:
    """The record's main facts, a line each; the loops, on which no result may depend, stand here alone."""
    fact("engine", version=__version__, loops=versions()["loops"])
    fact("fit", status=record["status"], formula=record["formula"], message=record["message"])
    for method in ("ml", "reml"):
        if record[method]:
            fact(method.upper(), loglik=record[method]["loglik"], parameters=record[method]["npar"])


def _keep_or_remove(replay: str, parquet: str, design: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """The archive of a fit without an estimate, with the command for it in the log; none for a good one."""
    if record["status"] in COMPARABLE:
        Path(replay).unlink(missing_ok=True)
        return
    write_bundle(replay, parquet, design, record["message"])
    fact("replay", command=f"lmm replay {replay}")


def _fitted(parquet: str, design: Mapping[str, Any]) -> dict[str, Any]:
    categories = design["dataset"].get("categories")
    ml, reml = (fit_table(parquet, design, method, categories) for method in ("ML", "REML"))
    return estimates(ml, reml, design["report"], design["dataset"])
