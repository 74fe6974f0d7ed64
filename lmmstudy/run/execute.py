"""`lmm run`: one locked run of the study, compared with the last good one and written to the ledger."""

import os
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmmcore.errors import LmmError
from lmmcore.output.versions import versions
from lmmstudy.base.files import Damaged
from lmmstudy.base.folders import Folders, folders_of
from lmmstudy.base.text import quoted
from lmmstudy.config.comparable import shared
from lmmstudy.config.study import ConfigError
from lmmstudy.run import ledger, notify, overview, page, state, workflow
from lmmstudy.run.arguments import check_arguments
from lmmstudy.run.codes import MEANING, Exit, gravest
from lmmstudy.run.damage import check_folders, remove_damaged
from lmmstudy.run.drift import Change, compare
from lmmstudy.run.lock import Held, abandoned, hold, locked_by_snakemake
from lmmstudy.run.snapshot import snapshot

STATE = "state.json"
SHOWN = 5
"""Moves and datasets that the terminal shows; runs/last.html has them all."""


def execute(config: str, arguments: Sequence[str]) -> Exit:
    """Run the study of the configuration file `config` in this folder. Never raises.

    arguments : passed on to Snakemake. Every run leaves at least one line in runs/ledger.jsonl.
    """
    try:
        return _locked(config, folders_of(config), arguments)
    except (Damaged, OSError) as error:
        _say(_sentence(error))
        return Exit.CRASH


def _locked(config: str, at: Folders, arguments: Sequence[str]) -> Exit:
    """The run, unless another one holds the lock."""
    begun = ledger.now()
    name = ledger.new_run(begun)
    owner = f"run {name}, process {os.getpid()} on {socket.gethostname()}, since {begun}"
    try:
        with hold(at.runs / "lock", owner) as lock:
            return _recorded(name, begun, config, at, arguments, lock)
    except Held as other:
        _say(f"Another run holds the lock: {other}. Nothing was done.")
        event = {"event": "refused", "run": name, "time": begun, "exit": int(Exit.LOCKED)}
        ledger.append(at.runs / "ledger.jsonl", event | {"holder": str(other)})
        return Exit.LOCKED


def _recorded(name: str, begun: str, config: str, at: Folders, arguments: Sequence[str], lock: int) -> Exit:
    """The run between its `started` and its `finished` line."""
    path, clock = at.runs / "ledger.jsonl", time.monotonic()
    before = ledger.review(path)
    if before.odd:
        lines = "1 line" if before.odd == 1 else f"{before.odd} lines"
        _say(f"{path}: {lines} cannot be used and are left out ({before.first}).")
    for run in before.unfinished:
        _say(f"The run {run} was interrupted; this one goes on from what it finished.")
        ledger.append(path, {"event": "interrupted", "run": run, "time": begun, "noticed_by": name})
    start = {"event": "started", "run": name, "time": begun, "config": config, "pid": os.getpid()}
    here = {"host": socket.gethostname(), "loops": versions()["loops"], "git": ledger.git_state(Path.cwd())}
    ledger.append(path, start | here)
    end: dict[str, Any] = {}
    try:
        code = _run(name, config, at, arguments, lock, before.told, end)
    except ConfigError as problems:
        _say(str(problems))
        code, end["message"] = Exit.CONFIG, str(problems)
    except LmmError as error:
        _say(str(error))
        code, end["message"] = Exit.CRASH, str(error)
    except KeyboardInterrupt:
        code, end["message"] = Exit.CRASH, "stopped by the user"
    except (Damaged, OSError) as error:
        _say(_sentence(error))
        code, end["message"] = Exit.CRASH, _sentence(error)
    except Exception as error:
        traceback.print_exc()
        code, end["message"] = Exit.CRASH, f"{type(error).__name__}: {error}"
    end |= {"event": "finished", "run": name, "time": ledger.now(), "exit": int(code)}
    end |= {"outcome": MEANING[code], "seconds": round(time.monotonic() - clock, 1)}
    try:
        ledger.append(path, end)
    finally:  # a full disk is news
        _say(f"Run {name}: {MEANING[code]} (exit code {int(code)}).")
        notify.notify(before.last, end)
    return code


def _run(
    name: str,
    config: str,
    at: Folders,
    arguments: Sequence[str],
    lock: int,
    told: set[str],
    end: dict[str, Any],
) -> Exit:
    """Snakemake, then the comparison; `end` gains what the `finished` line tells of it.

    told : datasets that the ledger tells of.
    """
    check_arguments(arguments, workflow.snakefile())
    copy = at.runs / "config.yaml"  # the configuration of the last run
    checked = workflow.checked_copy(config, copy)
    if locked_by_snakemake(Path.cwd()):
        if not abandoned(Path.cwd()):
            end["message"] = "Snakemake is at work in this folder, or was stopped on another machine"
            _say(f"{end['message']}: if none is, say snakemake --unlock. Nothing was done.")
            return Exit.LOCKED
        workflow.unlock(copy, at)
    check_folders(checked["datasets"], at)
    before = _last_good(at)
    _mend(name, checked, at)
    log = at.runs / "logs" / f"{name}.log"
    status = workflow.run(workflow.command(copy, at, arguments), log, lock, at.runs / "lock")
    end |= {"snakemake": status, "jobs": workflow.jobs(log)}
    changes = _compare(name, checked, at, before, told)
    stale = _stale(checked, at)
    if stale:
        end["stale"] = sorted(stale)
        _say(f"The raw files of these datasets have not changed for longer than max_age: {', '.join(stale)}.")
    codes = {change.code for change in changes}
    finished = [change for change in changes if change.kind != "unfinished"]
    if status != 0 and (len(finished) == len(changes) or not finished):
        codes.add(Exit.CRASH)
        end["message"] = f"Snakemake stopped with status {status}: see {log}"
        _say(end["message"])
    code = gravest(codes)
    telling = page.ranked(changes)
    end["datasets"] = {"total": len(checked["datasets"]), "changed": [c.dataset for c in telling]}
    end["datasets"]["failed"] = [c.dataset for c in changes if c.code == Exit.FAILED]
    for change in telling:
        ledger.append(at.runs / "ledger.jsonl", {"event": "dataset", "run": name} | change.event())
    page.write(at.runs / "last.html", name, ledger.now(), code, changes, len(checked["datasets"]))
    events, side_by_side = ledger.read(at.runs / "ledger.jsonl"), bool(shared(checked["datasets"]))
    overview.write(at.runs, sorted(checked["datasets"]), at.results, events, side_by_side, stale)
    _tell(telling, at)
    return code


def _last_good(at: Folders) -> state.State:
    """The last good run of each dataset. Raises DataError: with a wrong one drift would go unnoticed."""
    last, present = state.read(at.runs / STATE), ledger.now()
    ahead = {name: entry for name, entry in last.items() if entry.get("data_since", "") > present}
    for entry in ahead.values():
        entry["data_since"] = present
    if ahead:
        _say(
            f"{at.runs / STATE} dates raw files after the clock of this machine "
            f"({quoted(list(ahead), SHOWN)}): their age counts from now."
        )
    return last


def _compare(
    name: str, config: dict[str, Any], at: Folders, old: state.State, told: set[str]
) -> list[Change]:
    """Changes since `old`, the last good run of each dataset; the good runs are brought up to date.

    told : datasets that the ledger tells of.
    """
    new: state.State = {}
    changes = []
    for dataset, stanza in sorted(config["datasets"].items()):
        before = old.get(dataset, {})
        now = snapshot(dataset, stanza["candidates"], at.results)
        change = compare(dataset, before.get("good"), now, config["runs"]["tolerance"])
        if change.code in (Exit.FAILED, Exit.UNEXPLAINED):
            new[dataset] = before | {"failing": change.code == Exit.FAILED}
        else:
            same = "good" in before and now["causes"]["data"] == before["good"]["causes"]["data"]
            since = before["data_since"] if same else ledger.now()
            new[dataset] = {"good": now, "run": name, "failing": False, "data_since": since}
            if change.kind == "new" and dataset in told:
                known = at.runs / STATE
                message = f"{dataset} has results, and no earlier ones stand in {known} to compare them with"
                change = replace(change, message=message)
            if before.get("failing") and change.kind == "same":
                message = f"{dataset} has results again; nothing moved"
                change = replace(change, kind="recovered", message=message)
        changes.append(change)
    for dataset in sorted(set(old) - set(new)):
        changes.append(Change(dataset, Exit.SAME, "removed", f"{dataset} is no longer in the configuration"))
    state.write(new, at.runs / STATE)
    return changes


def _stale(config: dict[str, Any], at: Folders) -> dict[str, str]:
    """A sentence for each dataset whose raw file has been the same for more than its `max_age` in days."""
    last = state.read(at.runs / STATE)
    limits = {name: stanza["max_age"] for name, stanza in config["datasets"].items() if "max_age" in stanza}
    since = {name: last.get(name, {}).get("data_since") for name in limits}
    ages = {name: ledger.age(moment) for name, moment in since.items() if moment}
    return {
        name: f"The raw file has not changed for {age:.1f} days (max_age: {limits[name]:g})"
        for name, age in sorted(ages.items())
        if age > limits[name]
    }


def _mend(name: str, config: dict[str, Any], at: Folders) -> None:
    """Remove results and reports that are damaged, and tell it."""
    damaged = remove_damaged(config, at.root)
    if not damaged:
        return
    for path, reason in list(damaged.items())[:SHOWN]:
        _say(f"{path} is made again: {reason}.")
    if len(damaged) > SHOWN:
        _say(f"... and {len(damaged) - SHOWN} more files: see {at.runs / 'ledger.jsonl'}")
    ledger.append(at.runs / "ledger.jsonl", {"event": "damaged", "run": name, "files": damaged})


def _sentence(error: Damaged | OSError) -> str:
    """What the machine prevented."""
    if isinstance(error, Damaged):
        return f"A file of the run cannot be used: {error}."
    reason = error.strerror or str(error)
    place = error.filename2 or error.filename or "its folder"  # of a renaming, what a reader knows
    return f"The run cannot use {place} ({reason}): correct this and run again."


def _tell(changes: Sequence[Change], at: Folders) -> None:
    """The gravest changes on the terminal."""
    for change in changes[:SHOWN]:
        _say(change.message)
        for sentence in [*change.conclusions, *(move.sentence for move in change.moves)][:SHOWN]:
            _say(f"  {sentence}")
    if len(changes) > SHOWN:
        _say(f"... and {len(changes) - SHOWN} more datasets: see {at.runs / 'last.html'}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
