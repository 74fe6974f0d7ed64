"""`lmm run`: exit codes, ledger, drift and its cause; `lmm why` and `lmm verify` beside it."""

import fcntl
import json
import os

import pytest

from lmmstudy.run import state
from tests.support.studies import MODELS, Study, new_study, stanza, write_raw


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Two datasets with one candidate each and one `lmm run` behind them; tests work in copies."""
    folder = tmp_path_factory.mktemp("watched") / "study"
    for seed, name in enumerate(("alpha", "beta"), start=1):
        write_raw(folder / f"data/{name}.csv", seed)
    datasets = {n: stanza(n, candidates=["random_intercept"]) for n in ("alpha", "beta")}
    datasets["beta"]["max_age"] = 1e-6  # days
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    run = study.lmm("run")
    assert run.status == 0, run.text
    return study


@pytest.fixture
def mine(watched, tmp_path):
    """A copy of the watched study, free to be changed."""
    return watched.copy(tmp_path / "study")


def shift(study: Study, name: str, by: float) -> None:
    """Add `by` to every response of a raw file at the last visit."""

    def change(text: str) -> str:
        header, *lines = text.splitlines()
        rows = [line.split(",") for line in lines]
        moved = [[i, t, f"{float(y) + by * (t == '5'):.4f}"] for i, t, y in rows]
        return "\n".join([header, *(",".join(row) for row in moved)]) + "\n"

    study.edit(f"data/{name}.csv", change)


def test_the_first_run_is_written_down_and_the_next_has_nothing_to_tell(mine):
    kinds = [(e["event"], e.get("dataset"), e.get("kind")) for e in mine.ledger()]
    assert kinds[0][0] == "started" and kinds[-1][0] == "finished"
    assert ("dataset", "alpha", "new") in kinds and ("dataset", "beta", "new") in kinds
    again = mine.lmm("run", "--", "--cores", "1")
    assert again.status == 0 and "nothing moved (exit code 0)" in again.text
    added = mine.ledger()[len(kinds) :]
    overview = (mine.folder / "runs/index.html").read_text()
    assert "over the runs" in overview and ">stale<" in overview
    report = (mine.folder / "runs/reports/alpha.html").read_text()
    assert "What changed since the last run</strong>: nothing. The last change" in report
    assert "since the last run" not in (mine.folder / "reports/alpha.html").read_text()
    assert [e["event"] for e in added] == ["started", "finished"]
    assert added[1]["stale"] == ["beta"] and "longer than max_age: beta" in again.text
    assert added[1]["jobs"] == {} and added[1]["datasets"]["changed"] == []
    assert "commit" not in json.dumps({n: b.decode("latin-1") for n, b in mine.results().items()})


def test_data_config_and_failures_are_told_apart(mine):
    """Each step changes one thing; `lmm why` names it before the run and the ledger after it."""
    shift(mine, "alpha", 0.05)
    assert "data: data/alpha.csv" in mine.lmm("why", "alpha").text
    assert "up to date" in mine.lmm("why", "beta").text
    run = mine.lmm("run")
    assert run.status in (10, 11), run.text
    (event,) = [e for e in mine.ledger() if e["event"] == "dataset" and e["kind"] == "changed"]
    assert (event["dataset"], event["causes"], event["exit"]) == ("alpha", ["data"], run.status)
    slope = next(move for move in event["moves"] if move["name"] == "t")
    # The last of six visits of all twelve subjects moves by 0.05: the slope by 0.05 (5 - 2.5) / 17.5.
    assert slope["new"][0] - slope["old"][0] == pytest.approx(0.05 * 2.5 / 17.5, abs=1e-3)
    assert slope["new"][1] < slope["new"][0] < slope["new"][2]
    assert "alpha: " in run.text and "t: " in (mine.folder / "runs/last.html").read_text()

    config = mine.config
    config["selection"] = {"criterion": "bic"}
    config["datasets"]["alpha"]["candidates"] = ["ar1"]
    mine.configure(config)
    assert "config: criterion is 'bic', it was 'aic'; select runs" in mine.lmm("why", "alpha").text
    (mine.folder / "data/beta.csv").write_text("id,t,y\n")
    run = mine.lmm("run")
    assert run.status == 20, run.text
    last = {e["dataset"]: e for e in mine.ledger() if e["event"] == "dataset"}
    assert last["beta"]["kind"] == "failed" and "a header but no rows" in last["beta"]["message"]
    assert "config" in last["alpha"]["causes"]
    assert mine.ledger()[-1]["datasets"]["failed"] == ["beta"]


def test_numbers_that_move_though_nothing_changed(mine):
    """The last good run is made to have other numbers of the same causes."""
    path = mine.folder / "runs/state.json"
    last = state.read(path)
    slope = last["beta"]["good"]["estimates"]["t"]
    slope[:3] = [number + 1 for number in slope[:3]]
    state.write(last, path)
    run = mine.lmm("run")
    assert run.status == 40, run.text
    assert "beta: 1 of" in run.text and "though neither data" in run.text


@pytest.mark.parametrize("text", ["", "[]", '{"alpha": 5}'])
def test_a_damaged_state_stops_the_run_before_it_begins(mine, text):
    """Without the last good run no drift would be noticed."""
    (mine.folder / "runs/state.json").write_text(text)
    run = mine.lmm("run")
    assert run.status == 1 and "runs/state.json is damaged: put a copy back, or remove it" in run.text
    assert "Traceback" not in run.text and mine.ledger()[-1]["exit"] == 1


def test_config_mistakes_and_a_held_lock_do_nothing(mine):
    with (mine.folder / "runs/lock").open("r+") as held:
        held.write("the night shift")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        run = mine.lmm("run")
        assert run.status == 31 and "the night shift" in run.text
    assert mine.ledger()[-1]["event"] == "refused"
    mine.edit("config/config.yaml", lambda text: text.replace("response:", "respnse:"))
    run = mine.lmm("run")
    assert run.status == 30 and "did you mean 'response'?" in run.text
    assert mine.ledger()[-1]["exit"] == 30 and "Traceback" not in run.text


def test_a_defect_in_one_job_fails_its_dataset_alone(mine):
    mine.edit(
        "workflow/scripts/fit.py",
        lambda text: text + "    if snakemake.wildcards.dataset == 'beta':\n        raise SystemExit(3)\n",
    )
    run = mine.lmm("run")
    assert run.status == 20, run.text
    assert "beta was not finished: see the files under logs/beta" in run.text
    overview = (mine.folder / "runs/index.html").read_text()
    assert "beta was not finished" in overview and 'href="reports/alpha.html"' in overview


def test_verify_repeats_every_byte_and_notices_one(mine):
    """The sentence about a raw file that cannot be used is repeated too."""
    (mine.folder / "data/beta.csv").unlink()
    os.mkfifo(mine.folder / "data/beta.csv")
    run = mine.lmm("run")
    assert run.status == 20 and "data/beta.csv is not a regular file" in run.text
    # NumPy's loops, and those of a processor of another kind: the same but for rounding.
    said = mine.lmm("verify", LMM_LOOPS="numpy", OPENBLAS_CORETYPE="Prescott")
    assert said.status == 0 and "differ by rounding alone, at most by" in said.text, said.text
    record = mine.folder / "results/alpha/models/random_intercept.json"
    record.write_text(record.read_text() + " ")
    said = mine.lmm("verify")
    assert said.status == 40, said.text
    assert "results/alpha/models/random_intercept.json differs" in said.text
    tops = [mine.folder / name for name in ("results", "reports")]
    made = sum(path.is_file() for top in tops for path in top.rglob("[!.]*"))
    assert f"{made - 1} of {made} files are byte for byte the same" in said.text


def test_results_that_cannot_be_written_are_a_crash_and_then_made_up_for(mine, watched):
    """A file stands where the folder of every dataset should be."""
    kept = mine.folder / "kept"
    (mine.folder / "results").rename(kept)
    (mine.folder / "results").write_text("in the way")
    run = mine.lmm("run")
    assert run.status == 1, run.text
    assert mine.ledger()[-1]["exit"] == 1
    (mine.folder / "results").unlink()
    kept.rename(mine.folder / "results")
    for path in (mine.folder / "results/alpha").rglob("*.json"):
        path.unlink()
    assert mine.lmm("run").status == 0
    assert mine.results() == watched.results()


def test_a_raw_file_that_could_not_be_read_is_read_when_it_can(mine, watched):
    """A folder takes its place for one run; the file comes back as it was, with its old time."""
    raw = mine.folder / "data/beta.csv"
    raw.rename(mine.folder / "aside.csv")
    raw.mkdir()
    run = mine.lmm("run")
    assert run.status == 20, run.text
    assert "data/beta.csv cannot be read, it is a folder" in run.text
    assert mine.results().keys() == watched.results().keys()
    raw.rmdir()
    (mine.folder / "aside.csv").rename(raw)
    run = mine.lmm("run")
    assert run.status == 0 and "beta has results again" in run.text
    assert mine.results() == watched.results()
