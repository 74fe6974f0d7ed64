"""What the ledger tells of each dataset: its key coefficient run by run, and its last change."""

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lmmstudy.base.files import Damaged
from lmmstudy.report.charts.history import SHOWN
from lmmstudy.report.refit.series import Interval
from lmmstudy.run.drift import move_of
from lmmstudy.run.ledger import Event, check_event


@dataclass(frozen=True)
class Past:
    """time : start of the run that noticed the last change, in words for a reader; event : its line of the
    ledger; latest : whether that run is the last one; runs : the key coefficient after each of the latest
    SHOWN runs, None while there was no result; count : how many runs there are since the first that told of
    the dataset."""

    time: str
    event: Event
    latest: bool
    runs: tuple[Interval | None, ...]
    count: int

    @property
    def details(self) -> list[str]:
        """What the last change was, a sentence each, the gravest first."""
        moves = [move_of(move).sentence for move in self.event.get("moves", [])]
        return [*self.event.get("conclusions", []), *moves]


@dataclass
class _Told:
    """What the runs told of one dataset, by their places in the ledger: no more than `pasts` gives."""

    first: int
    time: str
    event: Event
    keys: dict[int, Interval | None]

    def past(self, count: int) -> Past:
        """The past after `count` runs."""
        places = range(max(self.first, count - SHOWN), count)
        told = sorted(self.keys)
        runs = [self.keys[told[max(bisect(told, place) - 1, 0)]] for place in places]
        time = self.time.replace("T", " ").replace("Z", " UTC")
        return Past(time, self.event, max(told) == count - 1, tuple(runs), count - self.first)


def pasts(events: Iterable[Event]) -> dict[str, Past]:
    """The past of each dataset that the ledger names. A run that tells nothing of a dataset left it as it
    was.

    The events of a run stand between its start and the SHOWN-th one after it; later ones are left out.
    """
    count = 0
    begun: dict[str, tuple[int, str]] = {}
    found: dict[str, _Told] = {}
    for event in events:
        run = event.get("run", "")
        if event["event"] == "started" and run not in begun:
            begun[run] = count, str(event.get("time"))
            count += 1
            if len(begun) > SHOWN:
                del begun[next(iter(begun))]
        elif event["event"] == "dataset" and run in begun and _is_readable(event):
            place, time = begun[run]
            told = found.setdefault(event["dataset"], _Told(place, time, event, {}))
            told.time, told.event, told.keys[place] = time, event, _key(event)
            if len(told.keys) > SHOWN + 1:  # one before those that are shown
                del told.keys[min(told.keys)]
    return {dataset: told.past(count) for dataset, told in found.items()}


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
