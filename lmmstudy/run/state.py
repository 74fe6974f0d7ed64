"""runs/state.json: the last good run of each dataset, which the next one is compared with.

{dataset: {`failing`, and once there were good results `good`, the snapshot of them, `run`, its name, and
`data_since`, when its raw file came to be as it is}}.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from lmmcore.errors import DataError
from lmmcore.runtime.stored import Damaged, check
from lmmstudy.base.files import read_json, write_result
from lmmstudy.run.snapshot import CAUSES

State = dict[str, dict[str, Any]]


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


GOOD = {
    "status": "ok",
    "message": str,
    "causes": {cause: str for cause in CAUSES},
    "rows": _count,
    "subjects": _count,
    "selected": str,
    "fit": str,
    "key": (None, str),
    "estimates": {str: [(None, float)]},
}
SHAPE = {str: {"failing": bool, "good?": GOOD, "run?": str, "data_since?": _moment}}


def read(path: Path) -> State:
    """The state in the file `path`, none where there is no file.

    Raises DataError for a damaged one: with a wrong one drift would go unnoticed.
    """
    try:
        state = read_json(path)
        check(state, SHAPE)
        for dataset, entry in state.items():
            _check_entry(dataset, entry)
    except FileNotFoundError:
        return {}
    except Damaged as reason:
        raise DataError(
            f"{path} is damaged: put a copy back, or remove it, which makes the next results the reference "
            f"({reason})."
        ) from None
    return state


def _check_entry(dataset: str, entry: dict[str, Any]) -> None:
    if "good" not in entry:
        return
    if "data_since" not in entry:
        raise Damaged(f"{dataset}.data_since is missing")
    for name, numbers in entry["good"]["estimates"].items():
        where = f"{dataset}.good.estimates.{name}"
        if len(numbers) != 4:
            raise Damaged(f"{where} has {len(numbers)} numbers and not 4")
        estimate, low, high, unit = numbers
        known = [number for number in (low, estimate, high) if number is not None]
        if known != sorted(known) or (unit is not None and unit < 0):
            raise Damaged(f"{where} is not an estimate between its limits with a standard error")


def write(state: State, path: Path) -> None:
    """Write `state` to `path`."""
    write_result(state, path)
