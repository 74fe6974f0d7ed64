"""What moved between the last good run and this one, how far, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lmmstudy.report.words.numbers import fmt
from lmmstudy.run.codes import Exit
from lmmstudy.run.snapshot import CAUSES, Snapshot

NEGLIGIBLE = 1e-6
"""A standard deviation below this share of the largest one counts as zero."""

UNEXPLAINED = " though neither data, config, engine nor environment changed"


@dataclass(frozen=True)
class Move:
    """One estimate that differs; `size` in standard errors, for covariance parameters a share."""

    name: str
    old: tuple[float | None, ...]
    new: tuple[float | None, ...]
    size: float
    in_errors: bool

    @property
    def sentence(self) -> str:
        """Old and new with their intervals, and the distance."""
        how = f"{fmt(self.size, 2)} SE" if self.in_errors else f"{fmt(100 * self.size, 2)}%"
        return f"{self.name}: {_shown(self.old)} -> {_shown(self.new)} ({how})"


@dataclass(frozen=True)
class Change:
    """What became of one dataset. `causes` are those of CAUSES that changed since the last good run."""

    dataset: str
    code: Exit
    kind: str
    """"new", "removed", "failed", "unfinished", "recovered", "changed" or "same"."""
    message: str
    causes: tuple[str, ...] = ()
    conclusions: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    """The farthest first."""
    key: Mapping[str, Any] | None = None
    """The key coefficient now: `term`, `estimate`, `low`, `high`; None without one."""

    @property
    def largest(self) -> float:
        """How far the farthest estimate moved."""
        return max((move.size for move in self.moves), default=0.0)

    def event(self) -> dict[str, Any]:
        """The change as a line of the ledger holds it."""
        return {
            "dataset": self.dataset,
            "kind": self.kind,
            "exit": int(self.code),
            "message": self.message,
            "causes": list(self.causes),
            "conclusions": list(self.conclusions),
            "key": self.key,
            "moves": [
                {
                    "name": move.name,
                    "old": list(move.old),
                    "new": list(move.new),
                    "size": move.size if math.isfinite(move.size) else None,
                    "unit": "standard errors" if move.in_errors else "share",
                }
                for move in self.moves
            ],
        }


def move_of(told: Mapping[str, Any]) -> Move:
    """The move that a line of the ledger tells of."""
    size = math.inf if told["size"] is None else told["size"]
    return Move(told["name"], tuple(told["old"]), tuple(told["new"]), size, told["unit"] == "standard errors")


def compare(dataset: str, old: Snapshot | None, new: Snapshot, tolerance: float) -> Change:
    """The change of `dataset` from its last good snapshot `old` (None: there is none) to `new`."""
    return replace(_change(dataset, old, new, tolerance), key=_key(new))


def _key(state: Snapshot) -> dict[str, Any] | None:
    if state.get("key") is None:
        return None
    estimate, low, high, _ = state["estimates"][state["key"]]
    key = {"term": state["key"], "estimate": estimate, "low": low, "high": high}
    return None if None in key.values() else key


def _change(dataset: str, old: Snapshot | None, new: Snapshot, tolerance: float) -> Change:
    if new["status"] != "ok":
        kind = str(new["status"])
        return Change(dataset, Exit.FAILED, kind, new["message"], changed_causes(old, new))
    if old is None:
        return Change(dataset, Exit.SAME, "new", f"{dataset} has its first results: {new['message']}")
    causes = changed_causes(old, new)
    conclusions = tuple(_conclusions(old, new))
    moves = _moves(old["estimates"], new["estimates"], tolerance)
    if not moves and not conclusions:
        return Change(dataset, Exit.SAME, "same", f"{dataset}: nothing moved", causes)
    code = Exit.CONCLUSION if conclusions else Exit.MOVED
    what = f"{len(moves)} of {len(new['estimates'])} estimates moved" if moves else "no estimate moved"
    if conclusions:
        what = f"a conclusion changed; {what}"
    if not causes:
        code = Exit.UNEXPLAINED
    why = f"; changed: {', '.join(causes)}" if causes else UNEXPLAINED
    message = f"{dataset}: {what}{why}"
    return Change(dataset, code, "changed", message, causes, conclusions, moves)


def changed_causes(old: Snapshot | None, new: Snapshot) -> tuple[str, ...]:
    """Which of CAUSES differ."""
    if old is None or not new["causes"]:
        return ()
    return tuple(cause for cause in CAUSES if old["causes"].get(cause) != new["causes"].get(cause))


def _moves(
    old: Mapping[str, list[float | None]], new: Mapping[str, list[float | None]], tolerance: float
) -> tuple[Move, ...]:
    """Estimates in both that differ by more than `tolerance`, the farthest first."""
    spreads = [abs(v[0]) for name, v in new.items() if name.startswith("sd(") and v[0] is not None]
    zero = NEGLIGIBLE * max(spreads, default=0.0)
    found = []
    for name in new:
        if name not in old:
            continue
        (before, *interval_before, unit), (after, *interval_after, _) = old[name], new[name]
        size = _distance(before, after, unit, zero)
        if size > tolerance:
            intervals = (before, *interval_before), (after, *interval_after)
            found.append(Move(name, *intervals, size, bool(unit)))
    return tuple(sorted(found, key=lambda move: -move.size))


def _distance(old: float | None, new: float | None, unit: float | None, zero: float) -> float:
    if old is None or new is None:
        return 0.0 if old is new else math.inf
    if unit:
        return abs(new - old) / unit
    largest = max(abs(old), abs(new))
    return 0.0 if largest <= zero else abs(new - old) / largest


def _conclusions(old: Snapshot, new: Snapshot) -> list[str]:
    """Sentences about what a reader would now say differently."""
    found = []
    if old["selected"] != new["selected"]:
        found.append(f"{new['selected']} is selected in place of {old['selected']}")
    elif old["fit"] != new["fit"]:
        found.append(f"the fit of {new['selected']} is {new['fit']}, it was {old['fit']}")
    before, after = _coefficients(old), _coefficients(new)
    found += [f"the coefficient {name} is new" for name in after if name not in before]
    found += [f"the coefficient {name} is gone" for name in before if name not in after]
    if old["selected"] == new["selected"]:
        found += _parameters(old, new, {*before, *after})
    for name in after:
        if name != "Intercept" and name in before and before[name] != after[name]:
            found.append(f"the interval of {name} {_POSITION[after[name]]}, it {_PAST[before[name]]}")
    return found


def _parameters(old: Snapshot, new: Snapshot, coefficients: set[str]) -> list[str]:
    """Sentences about parameters of the covariance that one and the same model has gained or lost."""
    was, now = ([name for name in state["estimates"] if name not in coefficients] for state in (old, new))
    came = [f"the parameter {name} is new" for name in now if name not in was]
    return came + [f"the parameter {name} is gone" for name in was if name not in now]


_POSITION = {-1: "lies below 0", 0: "contains 0", 1: "lies above 0"}
_PAST = {-1: "lay below 0", 0: "contained 0", 1: "lay above 0"}


def _coefficients(state: Snapshot) -> dict[str, int]:
    """On which side of 0 the interval of each fixed effect lies; 0 when it contains 0."""
    sides = {}
    for name, (_, low, high, unit) in state["estimates"].items():
        if unit is not None:
            sides[name] = 0 if low is None or high is None else int(low > 0) - int(high < 0)
    return sides


def _shown(values: tuple[float | None, ...]) -> str:
    estimate, low, high = values
    if low is None or high is None:
        return fmt(estimate)
    return f"{fmt(estimate)} [{fmt(low)}, {fmt(high)}]"
