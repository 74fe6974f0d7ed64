"""The candidates of one dataset compared on maximum likelihood, and the one selected.

Only models with an estimate (`ok` or `singular`) compete; the others stay in the ladder, last, with
their reason. `delta` is the distance from the best value of the criterion (of AIC under `lrt`) and
`weight` is exp(-delta / 2) normalised over the competitors: Burnham and Anderson, Model Selection
and Multimodel Inference, 2002, section 2.9.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lmmcore.errors import LmmError
from lmmcore.inference.models.chibar import SEED
from lmmcore.inference.models.compare import compare
from lmmstudy.base.files import read_json, write_result
from lmmstudy.base.log import fact
from lmmstudy.fitting.engine import fit_table
from lmmstudy.fitting.provenance import provenance
from lmmstudy.fitting.record import COMPARABLE

TIED = 6
"""Decimals in which log-likelihoods are compared: models that say the same in other words, AR(1) and
exponential at whole times, differ by rounding and stay in the order of the configuration on every machine."""
VALUES = ("npar", "loglik", "deviance", "aic", "aicc", "bic")


def select_model(
    dataset: str,
    parquet: str,
    audit: str,
    records: Sequence[str],
    design: Mapping[str, Any],
    code: str,
    out: str,
) -> None:
    """Write the selection for `dataset` to `out`: the ladder, the tests, the model selected (or why none is).

    records : the candidates' record files, in the order of the config.
    design : the dataset's `select` part of `lmmstudy.config.study.plan`.
    """
    candidates = [read_json(path) for path in records]
    criterion = design["criterion"]
    selection: dict[str, Any] = {
        "dataset": dataset,
        "criterion": criterion,
        "alpha": design["alpha"],
        "selected": None,
        "ladder": ladder(candidates, criterion),
        "tests": [],
        # The weights of a null distribution on several boundaries are simulated.
        "provenance": provenance(parquet, code, dict(design)) | {"seed": SEED},
    }
    competing = {c["model"]: c for c in candidates if c["status"] in COMPARABLE}
    cleaned = read_json(audit)
    if cleaned["status"] != "ok":
        selection |= {"status": "failed", "message": cleaned["message"]}
    elif not competing:
        first = candidates[0]
        selection |= {
            "status": "failed",
            "message": f"{dataset} has no model: none of its {len(candidates)} candidates could be "
            f"fitted ({first['model']}: {first['message']})",
        }
    else:
        try:
            selection["tests"] = _tests(parquet, competing, design["categories"])
        except LmmError as error:
            selection |= {"status": "failed", "message": f"{dataset} has no selection: {error}"}
        else:
            chosen = choose(selection["ladder"], selection["tests"], criterion, design["alpha"])
            selection |= {"status": "ok", "selected": chosen}
            selection["message"] = _summary(chosen, criterion, len(competing), candidates)
    write_result(selection, out)
    for step in selection["ladder"]:
        fact("candidate", model=step["model"], status=step["status"], loglik=step["loglik"], aic=step["aic"])
    fact("select", status=selection["status"], selected=selection["selected"], message=selection["message"])


def ladder(candidates: Sequence[Mapping[str, Any]], criterion: str) -> list[dict[str, Any]]:
    """One entry a candidate, the best first by the criterion, those without an estimate last."""
    measure = "aic" if criterion == "lrt" else criterion
    entries = []
    for candidate in candidates:
        entry = {key: candidate[key] for key in ("model", "formula", "status", "message")}
        estimates = candidate["ml"] if candidate["status"] in COMPARABLE else None
        entry |= {key: estimates[key] if estimates else None for key in VALUES}
        entries.append(entry | {"delta": None, "weight": None})
    finite = [entry for entry in entries if entry[measure] is not None]
    best = min((entry[measure] for entry in finite), default=0.0)
    for entry in finite:
        entry["delta"] = entry[measure] - best
    total = sum(math.exp(-entry["delta"] / 2) for entry in finite)
    for entry in finite:
        entry["weight"] = math.exp(-entry["delta"] / 2) / total
    return sorted(entries, key=lambda e: math.inf if e["delta"] is None else round(e["delta"], TIED))


def choose(
    entries: Sequence[Mapping[str, Any]],
    tests: Sequence[Mapping[str, Any]],
    criterion: str,
    alpha: float,
) -> str:
    """The selected model's name; `entries` is a ladder with at least one estimate.

    Under an information criterion the first of the ladder. Under `lrt` a walk: start at the model
    with the fewest parameters, go once through the others by number of parameters (the higher
    likelihood first where these are equal), and move whenever the current model is nested in the
    next and p < alpha; a test without a p value moves nothing.
    """
    entries = [entry for entry in entries if entry["loglik"] is not None]
    if criterion != "lrt":
        return entries[0]["model"]
    known = [test for test in tests if test["p_value"] is not None]
    p_values = {(test["null"], test["alternative"]): test["p_value"] for test in known}
    current, *larger = (
        e["model"] for e in sorted(entries, key=lambda entry: (entry["npar"], -round(entry["loglik"], TIED)))
    )
    for model in larger:
        if p_values.get((current, model), 1.0) < alpha:
            current = model
    return current


def _tests(
    parquet: str, competing: Mapping[str, Mapping[str, Any]], categories: Mapping[str, list[Any]]
) -> list[dict[str, Any]]:
    """Likelihood-ratio tests of every nested pair. The fits are made again: that costs milliseconds."""
    fits = {name: fit_table(parquet, candidate, "ML", categories) for name, candidate in competing.items()}
    return list(compare(fits).tests)


def _summary(chosen: str, criterion: str, compared: int, candidates: Sequence[Mapping[str, Any]]) -> str:
    how = "likelihood-ratio tests" if criterion == "lrt" else criterion.upper().replace("AICC", "AICc")
    text = f"{chosen} was selected by {how} among {compared} models"
    out = [f"{c['model']} ({c['status']})" for c in candidates if c["status"] not in COMPARABLE]
    return f"{text}; left out: {', '.join(out)}." if out else f"{text}."
