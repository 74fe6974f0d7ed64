"""A fit that goes on and on is given up: a record with a sentence, and the handler of signals as it was."""

import signal
import threading
import time

import polars as pl
import pytest

import lmmstudy.fitting.candidate as candidate
from lmmstudy.base.files import read_json, write_json
from lmmstudy.config.study import load, plan
from lmmstudy.fitting.limit import OutOfTime, time_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no such timer here")


def endless() -> None:
    while True:
        try:
            sum(range(1000))
        except Exception:  # an attempt that failed: the limit is none
            continue


def test_a_fit_without_an_end_is_recorded_as_not_converged(tmp_path, monkeypatch):
    monkeypatch.setattr(candidate, "LIMIT", 0.2)
    monkeypatch.setattr(candidate, "fit_table", lambda *arguments: endless())
    former = signal.getsignal(signal.SIGPROF)
    parquet, audit, out = (str(tmp_path / name) for name in ("c.parquet", "c.json", "m.json"))
    pl.DataFrame({"id": [1, 1, 2, 2], "t": [0.0, 1, 0, 1], "y": [1.0, 2, 2, 3]}).write_parquet(parquet)
    write_json({"status": "ok"}, audit)
    stanza = {
        **{"path": "r.csv", "subject": "id", "time": "t", "response": "y"},
        "fixed": "t",
        "candidates": ["m"],
    }
    models = {"m": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    design = plan(load({"datasets": {"d": stanza}, "models": models}))["d"]["fit"]["m"]
    candidate.fit_candidate("d", "m", parquet, audit, design, "code", out)
    record = read_json(out)
    assert record["status"] == "not_converged" and record["ml"] is None
    assert record["message"].startswith("The fit was given up after 0.00333333 minutes of processor time")
    assert signal.getsignal(signal.SIGPROF) == former


def test_waiting_is_not_counted():
    with time_limit(0.2):
        time.sleep(0.5)


def test_the_limit_is_lifted_afterwards():
    with time_limit(0.3):
        pass
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    with pytest.raises(OutOfTime), time_limit(0.05):
        endless()


def test_another_thread_goes_on_without_a_limit():
    done = []
    thread = threading.Thread(target=lambda: done.append(_within(0.01)))
    thread.start()
    thread.join()
    assert done == [True]


def _within(seconds: float) -> bool:
    with time_limit(seconds):
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass
    return True
