"""The ledger, the lock, what counts as moved, who is told."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from lmmstudy.base.files import write_json, write_text
from lmmstudy.run import ledger, lock, notify, page
from lmmstudy.run.codes import Exit, gravest
from lmmstudy.run.drift import compare
from lmmstudy.run.past import pasts
from lmmstudy.run.snapshot import snapshot

ROOT = Path(__file__).resolve().parents[3]


def state(**keys) -> dict:
    """A snapshot with one slope of 2 +- 0.5 (standard error 0.25) and one random intercept."""
    estimates = {
        "Intercept": [10.0, 9.0, 11.0, 0.5],
        "t": [2.0, 1.5, 2.5, 0.25],
        "sd(id Intercept)": [3.0, None, None, None],
    }
    causes = {"data": "a", "config": "b", "engine": "c", "environment": "d"}
    base = {"status": "ok", "message": "m", "causes": causes, "selected": "ri", "fit": "ok"}
    return base | {"estimates": estimates | keys.pop("estimates", {})} | keys


def moved(**keys) -> dict:
    return state(causes=state()["causes"] | {"data": "new"}, **keys)


def test_equal_results_have_not_moved():
    change = compare("d", state(), state(), 0.0)
    assert (change.code, change.kind, change.moves) == (Exit.SAME, "same", ())


def test_a_move_is_measured_in_standard_errors_and_attributed():
    change = compare("d", state(), moved(estimates={"t": [2.05, 1.55, 2.55, 0.25]}), 0.001)
    assert (change.code, change.causes) == (Exit.MOVED, ("data",))
    (move,) = change.moves
    assert move.size == pytest.approx(0.2) and move.in_errors  # (2.05 - 2) / 0.25
    assert move.sentence == "t: 2.000 [1.500, 2.500] -> 2.050 [1.550, 2.550] (0.20 SE)"
    assert change.event()["moves"][0]["old"] == [2.0, 1.5, 2.5]


def test_moves_within_the_tolerance_do_not_count_and_the_farthest_comes_first():
    new = moved(estimates={"t": [2.05, 1.5, 2.5, 0.25], "sd(id Intercept)": [4.0, None, None, None]})
    assert [move.name for move in compare("d", state(), new, 0.01).moves] == ["sd(id Intercept)", "t"]
    assert [move.name for move in compare("d", state(), new, 0.22).moves] == ["sd(id Intercept)"]
    assert compare("d", state(), new, 0.26).code == Exit.SAME


def test_two_standard_deviations_of_practically_zero_are_equal():
    old = state(estimates={"sd(id t)": [1e-9, None, None, None]})
    new = moved(estimates={"sd(id t)": [3e-9, None, None, None]})
    assert compare("d", old, new, 0.001).code == Exit.SAME


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"selected": "ar1"}, "ar1 is selected in place of ri"),
        ({"fit": "singular"}, "the fit of ri is singular, it was ok"),
        ({"estimates": {"t": [0.4, -0.1, 0.9, 0.25]}}, "the interval of t contains 0, it lay above 0"),
        ({"estimates": {"t": [-2, -3, -1, 0.25]}}, "the interval of t lies below 0, it lay above 0"),
        ({"estimates": {"x": [1, 0, 2, 0.5]}}, "the coefficient x is new"),
    ],
)
def test_conclusions(keys, sentence):
    change = compare("d", state(), moved(**keys), 0.001)
    assert change.code == Exit.CONCLUSION and change.conclusions == (sentence,)


def test_numbers_that_move_for_no_reason_are_the_gravest():
    change = compare("d", state(), state(estimates={"t": [2.1, 1.6, 2.6, 0.25]}), 0.001)
    assert change.code == Exit.UNEXPLAINED and "though neither data" in change.message
    assert gravest({Exit.UNEXPLAINED, Exit.FAILED, Exit.MOVED}) == Exit.UNEXPLAINED
    assert gravest({Exit.FAILED, Exit.CONCLUSION}) == Exit.FAILED and gravest(set()) == Exit.SAME


def test_first_results_and_failures():
    assert compare("d", None, state(), 0.001).kind == "new"
    failed = {"status": "failed", "message": "d was not analysed.", "causes": {"data": "z"}}
    change = compare("d", state(), failed, 0.001)
    assert (change.code, change.kind) == (Exit.FAILED, "failed") and "data" in change.causes


def test_the_ledger_survives_a_write_that_was_cut_off(tmp_path):
    path = tmp_path / "runs" / "ledger.jsonl"
    ledger.append(path, {"event": "started", "run": "a"})
    with path.open("a") as file:
        file.write('{"event": "fini')
    ledger.append(path, {"event": "started", "run": "b"})
    ledger.append(path, {"event": "finished", "run": "b", "exit": 0})
    events = [(event["event"], event["run"]) for event in ledger.read(path)]
    assert events == [("started", "a"), ("started", "b"), ("finished", "b")]
    found = ledger.review(path)
    assert found.unfinished == ["a"] and found.last["run"] == "b"
    ledger.append(path, {"event": "interrupted", "run": "a"})
    assert ledger.review(path).unfinished == []


def test_a_ledger_of_years_is_not_held_in_memory(tmp_path):
    """16 times as many runs take no more memory; those of the last 40 are told."""

    def grown(runs: int) -> tuple[int, dict]:
        path = tmp_path / f"{runs}.jsonl"
        with path.open("w") as file:
            for k in range(runs):
                name = f"20260101T000000Z-{k:x}"
                key = {"term": "t", "estimate": float(k), "low": k - 1.0, "high": k + 1.0}
                event = {
                    "event": "dataset",
                    "run": name,
                    "dataset": f"d{k % 3}",
                    "message": "m" * 500,
                    "key": key,
                }
                start = {"event": "started", "run": name, "time": "2026-01-01T00:00:00Z"}
                end = {"event": "finished", "run": name, "exit": 10}
                for part in (start, event, end):
                    file.write(json.dumps(part) + "\n")
                file.write("no event " * 100 + "\n")
        tracemalloc.start()
        found = ledger.review(path)
        assert (found.unfinished, found.odd, found.last["run"]) == ([], runs, name)
        assert found.told == {"d0", "d1", "d2"}
        past = pasts(ledger.read(path))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak, past

    few, _ = grown(200)
    many, past = grown(3200)
    assert many < 1.2 * few
    latest = past["d1"]  # of the last run, 3199
    assert latest.latest and latest.count == 3199 and len(latest.runs) == 40
    assert [run.estimate for run in latest.runs[-4:]] == [3196.0, 3196.0, 3196.0, 3199.0]
    assert latest.runs[0].estimate == 3160.0 and not past["d0"].latest


def test_a_dataset_of_which_nothing_was_told_for_long_keeps_its_last_estimate():
    key = {"term": "t", "estimate": 1.0, "low": 0.0, "high": 2.0}
    event = {"event": "dataset", "run": "0", "dataset": "d", "message": "m", "key": key}
    events = [{"event": "started", "run": str(k), "time": "t"} for k in range(100)]
    past = pasts([events[0], event, *events[1:], event | {"run": "2"}])["d"]
    assert past.count == 100 and [run.estimate for run in past.runs] == [1.0] * 40 and not past.latest


def test_an_odd_line_may_have_said_how_a_run_ended(tmp_path):
    path = tmp_path / "ledger.jsonl"
    start = '{"event": "started", "run": "20260101T000000Z-1f"}\n'
    path.write_text(start + 'shed", "run": "20260101T000000Z-1f", "exit": 0}\n')
    assert ledger.review(path).unfinished == []
    path.write_text('"run": "20260101T000000Z-1f0"}\n' + start)
    assert ledger.review(path).unfinished == ["20260101T000000Z-1f"]


@pytest.mark.parametrize(
    "line",
    ["\0\0", "[]", "[" * 5000, '{"event": 5}', '{"event": "started"}', '{"event": "finished", "run": "a"}'],
)
def test_lines_that_are_no_event_are_left_out(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    path.write_text(f'{{"event": "started", "run": "b"}}\n{line}\n')
    assert [event["run"] for event in ledger.read(path)] == ["b"]


def test_an_event_with_numbers_of_another_kind_has_no_part_in_the_history():
    start = {"event": "started", "run": "a", "time": "t"}
    event = {"event": "dataset", "run": "a", "dataset": "d", "message": "m"}
    odd = [{"key": {"term": "t"}}, {"moves": [{"name": "t"}]}, {"moves": 5}, {"conclusions": 5}]
    assert not any(pasts([start, event | part]) for part in odd)
    assert pasts([start, event])["d"].details == []


def test_results_cut_off_or_changed_by_hand_are_not_finished(tmp_path):
    names = ("clean.json", "selection.json", "models/m.json")
    for name, text in itertools.product(names, ("", "{", "{}", "[]", "5")):
        results(tmp_path, "m")
        (tmp_path / "results/d" / name).write_text(text)
        assert snapshot("d", ["m"], tmp_path / "results")["status"] == "unfinished", (name, text)


def test_a_model_of_another_name_is_a_change_of_the_configuration(tmp_path):
    """Else the selection of `n` in place of `m` would be a change without a cause."""
    old, new = (snapshot("d", [name], results(tmp_path, name)) for name in ("m", "n"))
    change = compare("d", old, new, 0.001)
    assert (change.code, change.causes) == (Exit.CONCLUSION, ("config",))


def results(folder: Path, model: str) -> Path:
    """The results of the dataset `d` with one candidate, as far as a snapshot reads them."""
    origin = {"provenance": {"config": {}, "code": "c", "versions": {}}}
    clean = origin | {"source": {"sha256": "a"}, "rows": {"used": 4}, "subjects": {"used": 2}}
    selection = origin | {"status": "ok", "selected": model, "message": "m"}
    record = origin | {"model": model, "status": "ok", "fixed": [], "random": []}
    record |= {"residual_parameters": {}, "answer": None}
    write_json(clean, folder / "results/d/clean.json")
    write_json(selection, folder / "results/d/selection.json")
    write_json(record, folder / f"results/d/models/{model}.json")
    write_text("", folder / "reports/d.html")
    return folder / "results"


def test_git_state_is_of_the_repository_or_nothing(tmp_path):
    assert ledger.git_state(tmp_path) == {"commit": None, "dirty": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "m"], check=True)
    assert ledger.git_state(tmp_path)["dirty"] is False and len(ledger.git_state(tmp_path)["commit"]) == 40
    (tmp_path / "a").write_text("2")
    assert ledger.git_state(tmp_path)["dirty"] is True


def test_the_lock_goes_with_its_holder_even_when_that_is_killed(tmp_path):
    path = tmp_path / "runs" / "lock"
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lmmstudy.run.lock import hold
with hold(Path({str(path)!r}), "the other"):
    print("held", flush=True)
    time.sleep(3600)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    with pytest.raises(lock.Held, match="the other"), lock.hold(path, "me"):
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with lock.hold(path, "me"):
        assert path.read_text() == "me\n"


def test_a_lock_of_snakemake_is_abandoned_when_nobody_works_there(tmp_path):
    assert not lock.abandoned(tmp_path)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").write_text("x")
    assert lock.locked_by_snakemake(tmp_path) and lock.abandoned(tmp_path)
    worker = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(3600)", "snakemake"]
    with subprocess.Popen(worker, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        assert not lock.abandoned(tmp_path)
        process.kill()


def finished(code: Exit) -> dict:
    return {"exit": int(code), "outcome": code.name, "run": "r", "datasets": {"changed": ["alpha"]}}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [(0, 0, False), (0, 10, True), (20, 20, False), (20, 0, True), (None, 0, False), (None, 20, True)],
)
def test_only_a_change_of_outcome_is_told(tmp_path, monkeypatch, before, now, told):
    out = tmp_path / "told"
    script = f"import os, sys; open({str(out)!r}, 'w').write(sys.stdin.read() + os.environ['LMM_EXIT'])"
    monkeypatch.setenv("LMM_NOTIFY", f'{sys.executable} -c "{script}"')
    notify.notify(None if before is None else finished(Exit(before)), finished(Exit(now)))
    assert out.exists() == told
    if told:
        assert "datasets: alpha" in out.read_text() and out.read_text().endswith(str(now))


@pytest.mark.parametrize("command", ["/absent/command", "false", 'unbalanced "'])
def test_a_notification_that_fails_is_not_fatal(monkeypatch, capsys, command):
    monkeypatch.setenv("LMM_NOTIFY", command)
    notify.notify(None, finished(Exit.FAILED))
    assert "The notification failed, the run did not" in capsys.readouterr().err


def test_a_notification_that_hangs_is_stopped_with_all_it_started(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notify, "PATIENCE", 5)
    monkeypatch.setenv("LMM_NOTIFY", f"sh -c 'sleep 3600 & echo $! > {tmp_path / 'child'}; wait'")
    notify.notify(None, finished(Exit.FAILED))
    assert "The notification failed, the run did not" in capsys.readouterr().err
    child = (tmp_path / "child").read_text().strip()
    until = time.monotonic() + 60
    while alive(child) and time.monotonic() < until:  # the kernel takes a moment
        time.sleep(0.01)
    assert not alive(child)


def alive(process: str) -> bool:
    """Whether the process runs; one that has ended may still be listed, as a zombie."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_page_shows_the_gravest_first_and_no_markup_of_the_data():
    name = "<script>alert(1)</script>"
    bad = compare("bad", state(), {"status": "failed", "message": f"{name} failed", "causes": {}}, 0.001)
    new = moved(estimates={"t": [2.1, 1.6, 2.6, 0.25]})
    text = page.render("r", "now", Exit.FAILED, [compare("good", state(), new, 0.001), bad], 3)
    assert text.index(">bad<") < text.index(">good<") and "0.40 SE" in text
    assert name not in text and "&lt;script&gt;" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_a_change_is_one_line_of_json():
    new = moved(estimates={"sd(id Intercept)": [None, None, None, None]})
    event = compare("d", state(), new, 0.001).event()
    assert event["moves"][0]["size"] is None  # infinitely far
    assert "\n" not in json.dumps(event, allow_nan=False)
