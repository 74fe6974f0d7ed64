"""What the ledger tells of each dataset: its key coefficient run by run, and its last change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmmstudy.base.files import Damaged
from lmmstudy.report.refit.series import Interval
from lmmstudy.run.drift import move_of
from lmmstudy.run.ledger import Event, check_event


@dataclass(frozen=True)
class Past:
    """time : start of the run that noticed the last change, in words for a reader; event : its line of the
    ledger; latest : whether that run is the last one; runs : the key coefficient after each run since the
    first, None while there was no result."""

    time: str
    event: Event
    latest: bool
    runs: tuple[Interval | None, ...]

    @property
    def details(self) -> list[str]:
        """What the last change was, a sentence each, the gravest first."""
        moves = [move_of(move).sentence for move in self.event.get("moves", [])]
        return [*self.event.get("conclusions", []), *moves]


def pasts(events: Sequence[Event]) -> dict[str, Past]:
    """The past of each dataset that the ledger names. A run that tells nothing of a dataset left it as it
    was."""
    begun = {event["run"]: str(event.get("time")) for event in events if event.get("event") == "started"}
    places = {run: place for place, run in enumerate(begun)}
    told: dict[str, dict[str, Event]] = {}
    for event in events:
        if event.get("event") == "dataset" and event.get("run") in begun and _is_readable(event):
            told.setdefault(event["dataset"], {})[event["run"]] = event
    found = {}
    for dataset, changes in told.items():
        runs: list[Interval | None] = []
        for run in list(begun)[places[next(iter(changes))] :]:
            runs.append(_key(changes[run]) if run in changes else runs[-1])
        last, event = list(changes.items())[-1]
        time = begun[last].replace("T", " ").replace("Z", " UTC")
        found[dataset] = Past(time, event, places[last] == len(begun) - 1, tuple(runs))
    return found


def _is_readable(event: Event) -> bool:
    """Whether its numbers are as this version writes them."""
    try:
        check_event(event)
    except Damaged:
        return False
    return True


def _key(event: Mapping[str, object]) -> Interval | None:
    key = event.get("key")
    if not isinstance(key, Mapping):
        return None
    return Interval(str(key["term"]), key["estimate"], key["low"], key["high"])
