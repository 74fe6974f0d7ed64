"""What the results say of a dataset, in the few numbers that one run is compared with the next by.

A snapshot is a mapping:
`status` ("ok", "failed", "unfinished"), `message`; `causes`, a hash of each thing that results depend on;
`selected`, `fit` (status of that model), `rows`, `subjects`; `estimates`, {name: [estimate, conf_low,
conf_high, unit]}, where `unit` is the standard error, or None for a parameter of the covariance; `key`, the
name of the estimate that the index shows, or None.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from lmmstudy.base.files import DAMAGED, canonical_json, read_json
from lmmstudy.fitting.answer import key

Snapshot = dict[str, Any]
CAUSES = ("data", "config", "engine", "environment")


def snapshot(dataset: str, candidates: list[str], results: Path) -> Snapshot:
    """The present state of `dataset` under the folder `results`, beside which reports/ stands."""
    try:
        (results.parent / "reports" / f"{dataset}.html").stat()
        return _snapshot(candidates, results / dataset)
    except DAMAGED:
        return {"status": "unfinished", "message": unfinished(dataset, results.parent), "causes": {}}


def _snapshot(candidates: list[str], folder: Path) -> Snapshot:
    """What the results in `folder` say. Raises DAMAGED."""
    files = [folder / "clean.json", folder / "selection.json"]
    files += [folder / "models" / f"{model}.json" for model in candidates]
    clean, selection, *records = (read_json(path) for path in files)
    state: Snapshot = {"causes": _causes(clean, selection, records), "message": selection["message"]}
    state |= {"rows": clean["rows"]["used"], "subjects": clean["subjects"]["used"]}
    if selection["status"] != "ok":
        return state | {"status": "failed"}
    record = {record["model"]: record for record in records}[selection["selected"]]
    answered = key(record["answer"]) if record["answer"] else None
    return state | {
        "status": "ok",
        "selected": selection["selected"],
        "fit": record["status"],
        "estimates": _estimates(record, answered),
        "key": answered["name"] if answered else None,
    }


def unfinished(dataset: str, root: Path = Path()) -> str:
    """The sentence about a dataset whose jobs did not all end."""
    return f"{dataset} was not finished: see the files under {root / 'logs' / dataset}"


def _estimates(
    record: Mapping[str, Any], answered: Mapping[str, Any] | None
) -> dict[str, list[float | None]]:
    found = {
        row["term"]: [row["estimate"], row["conf_low"], row["conf_high"], row["std_error"]]
        for row in record["fixed"]
    }
    if answered and "estimate" in answered:
        ends = [answered[k] for k in ("estimate", "conf_low", "conf_high", "std_error")]
        found[answered["name"]] = ends
    elif answered:
        found[answered["name"]] = [answered["statistic"], None, None, None]
    for row in record["random"]:
        if row["term2"] is None:
            name = f"sd({row['group']}{' ' + row['term1'] if row['term1'] else ''})"
            found[name] = [row["sd"], None, None, None]
        else:
            name = f"correlation({row['group']} {row['term1']}, {row['term2']})"
            found[name] = [row["correlation"], None, None, None]
    for name, value in record["residual_parameters"].items():
        found[f"residual {name}"] = [value, None, None, None]
    return found


def _causes(clean: Mapping[str, Any], selection: Mapping[str, Any], records: list[Any]) -> dict[str, str]:
    """A hash of the raw file, the config that the results used, the code, the versions."""
    origins = [item["provenance"] for item in (clean, selection, *records)]
    models = [record["model"] for record in records]  # a new name is told as a change too
    return {
        "data": str(clean["source"]["sha256"]),
        "config": _hash([models, *(origin["config"] for origin in origins)]),
        "engine": _hash([origin["code"] for origin in origins]),
        "environment": _hash([origin["versions"] for origin in origins]),
    }


def _hash(value: Any) -> str:
    return sha256(canonical_json(value).encode()).hexdigest()[:16]
