"""Whatever lies on the disk: damaged results are made again to equal bytes, a damaged history is told, and no
run ends in a traceback or passes over what it cannot know."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from lmmcore.errors import LmmError
from lmmstudy.base.files import read_json, write_result
from lmmstudy.config.study import load
from lmmstudy.run import ledger, overview, state
from lmmstudy.run.codes import Exit
from lmmstudy.run.damage import remove_damaged
from lmmstudy.run.drift import compare
from tests.support.alterations import DEEP, ODD, of_bytes, of_values, text_of
from tests.support.studies import MODELS, Study, new_study, stanza, write_raw


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Study:
    """Two datasets with one candidate each, after two runs, so that there is a history."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    datasets = {name: stanza(name, candidates=["random_intercept"]) for name in ("alpha", "beta")}
    for seed, name in enumerate(datasets, start=1):
        write_raw(folder / f"data/{name}.csv", seed)
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    assert study.lmm("run").status == 0
    study.edit("data/beta.csv", lambda text: text.replace("0,5,", "0,5,1"))
    assert study.lmm("run").status in (10, 11)
    return study


@pytest.fixture
def mine(whole, tmp_path) -> Study:
    return whole.copy(tmp_path / "study")


def made(study: Study) -> dict[str, bytes]:
    """Results and reports by name, without the marks that Snakemake leaves in folders."""
    files = (path for top in ("results", "reports") for path in (study.folder / top).rglob("[!.]*"))
    return {str(path.relative_to(study.folder)): path.read_bytes() for path in files if path.is_file()}


def test_every_alteration_of_every_result_is_noticed(mine):
    """In this process: a damaged file is named and gone, so that its job runs; a whole one is left alone."""
    config, files = load(mine.config), made(mine)
    assert remove_damaged(config, mine.folder) == {} and made(mine) == files
    del config["datasets"]["beta"]
    for name, content in files.items():
        if "beta" in name:
            continue
        path = mine.folder / name
        altered = [*of_bytes(content, step=5 + len(content) // 4)]
        if name.endswith(".json"):
            value = json.loads(content)
            altered += [(key, text_of(odd).encode()) for key, odd in shallow(value)]
        others = {other: files[other] for other in files if files[other] != content}
        altered += [(other, others[other]) for other in others if Path(other).suffix == path.suffix]
        for how, bytes_now in altered:
            path.write_bytes(bytes_now)
            told = remove_damaged(config, mine.folder)
            assert len(told) == 1, (name, how)
            removed = name
            if path.parent.parent.name == "reports":  # a table is made again with its page
                removed = f"reports/{path.parent.name}.html"
            assert not (mine.folder / removed).exists(), (name, how)
            path.write_bytes(content)
            (mine.folder / removed).write_bytes(files[removed])
    assert made(mine) == files


def shallow(value: dict) -> list:
    """Each key with something else, and away: parts further inside are covered by the same checksum."""
    found = [(f"{key} = {odd!r}", value | {key: odd}) for key in value for odd in ODD[:6]]
    return found + [(f"without {key}", {k: v for k, v in value.items() if k != key}) for key in value]


def test_what_is_damaged_is_made_again_to_equal_bytes(mine, whole):
    """A real run over damage of every kind: emptied, cut off, zeroed, swapped, a pipe, a link to nowhere."""
    folder = mine.folder
    (folder / "results/alpha/models/random_intercept.json").write_text("")
    os.truncate(folder / "results/alpha/clean.parquet", 300)
    (folder / "results/beta/selection.json").write_bytes(b"\0" * 500)
    (folder / "results/beta/clean.json").unlink()
    os.mkfifo(folder / "results/beta/clean.json")
    shutil.copy(folder / "reports/alpha.html", folder / "reports/beta.html")
    (folder / "reports/index.html").unlink()
    (folder / "reports/index.html").symlink_to("nowhere")
    table = folder / "reports/alpha/fixed.csv"
    table.write_text(table.read_text()[:60])
    run = mine.lmm("run")
    assert run.status == 0, run.text
    assert "Traceback" not in run.text
    assert "results/alpha/models/random_intercept.json is made again: it is empty." in run.text
    (event,) = [event for event in mine.ledger() if event["event"] == "damaged"]
    assert len(event["files"]) == 7
    assert made(mine) == made(whole)
    assert "is made again" not in mine.lmm("run").text


def test_a_folder_where_a_result_should_be_is_named(mine):
    record = mine.folder / "results/alpha/models/random_intercept.json"
    record.unlink()
    (record / "of the user").mkdir(parents=True)
    run = mine.lmm("run")
    assert run.status == 1 and "Traceback" not in run.text
    assert (
        f"results/alpha/models/{record.name} is a folder where a result should be: move it away" in run.text
    )
    assert (record / "of the user").is_dir()


ELSEWHERE = ("results/alpha", "results/alpha/models", "reports", "logs/alpha", "runs/logs", ".snakemake")
IN_THE_WAY = {"file": Path.touch, "pipe": os.mkfifo, "broken link": lambda path: path.symlink_to("/none/x")}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_stands_in_the_place_of_a_folder_is_named(mine, kind):
    for name in ELSEWHERE:
        path, aside = mine.folder / name, mine.folder / "aside"
        path.rename(aside)
        IN_THE_WAY[kind](path)
        run = mine.lmm("run")
        assert run.status == 1 and "Traceback" not in run.text, run.text
        assert f"{name} is a file or a broken link where a folder should be: move it away." in run.text
        path.unlink()
        aside.rename(path)
    assert mine.lmm("run").status == 0


@pytest.mark.parametrize(
    "name", ["state.json", "ledger.jsonl", "lock", "last.html", "index.html", "config.yaml"]
)
def test_what_stands_in_the_place_of_a_file_of_runs_is_named(mine, name):
    path = mine.folder / "runs" / name
    for make in (Path.mkdir, os.mkfifo):
        path.unlink() if path.is_file() else path.rmdir()
        make(path)
        run = mine.lmm("run")
        made_again = run.status == 0 and path.is_file()  # a pipe that is only written to
        assert made_again or (run.status == 1 and f"runs/{name}" in run.text), run.text
        assert "Traceback" not in run.text


def test_a_state_of_odd_shape_is_refused_in_a_sentence(mine):
    """Whatever the state holds: refused, or the run is compared with what it says; an estimate that the state
    gives otherwise is never passed over."""
    path, good = mine.folder / "runs/state.json", state.read(mine.folder / "runs/state.json")
    assert set(good) == {"alpha", "beta"}
    now = good["alpha"]["good"]
    odd = [text_of(value) for _, value in of_values(good)]
    odd += [DEEP, "", "null", "[]", '{"good": {"good": {}}}', '{"alpha": {}, "alpha": {}}', "\ufeff{}"]
    for text in odd:
        path.write_text(text, "utf-8", errors="surrogatepass")
        try:
            read = state.read(path)
        except LmmError as error:
            assert "is damaged: put a copy back, or remove it" in str(error) and len(str(error)) < 400
            continue
        before = read.get("alpha", {}).get("good")
        change = compare("alpha", before, now, 0.001)
        same = before is not None and estimates(before) == estimates(now)
        assert same or change.code != Exit.SAME or change.kind == "new", text
    content = json.dumps(good | {"alpha": good["alpha"] | {"good": now | {"rows": 1}}})
    path.write_text(content)
    assert state.read(path)["alpha"]["good"]["rows"] == 1  # one without a checksum is as good as its shape
    write_result(good, path)
    path.write_text(path.read_text().replace('"rows": 72', '"rows": 73'))
    with pytest.raises(LmmError, match="changed after it was written"):
        state.read(path)


def estimates(snapshot: dict) -> dict:
    return {name: numbers[0] for name, numbers in snapshot["estimates"].items()}


def test_a_raw_file_dated_after_the_clock_counts_from_now(mine):
    path = mine.folder / "runs/state.json"
    last = read_json(path)
    last["alpha"]["data_since"] = "2999-01-01T00:00:00Z"
    write_result(last, path)
    run = mine.lmm("run")
    assert run.status == 0 and "dates raw files after the clock of this machine ('alpha')" in run.text
    assert read_json(path)["alpha"]["data_since"] < "2999"
    path.write_text(text_of(last | {"beta": {"failing": float("nan")}}))
    run = mine.lmm("run")
    assert run.status == 1 and "runs/state.json is damaged" in run.text and "Traceback" not in run.text


def test_lines_of_a_ledger_are_events_or_set_aside(mine):
    """A line of each kind with each of its parts replaced; what is read goes through all that reads it."""
    path = mine.folder / "runs/ledger.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = list(ledger.read(path))
    assert len(events) == len(lines)
    config = mine.config["datasets"]
    told = next(event for event in lines if event.get("moves"))
    told["moves"] = told["moves"][:1]
    kinds = {event["event"]: event for event in [*lines, told]}
    odd = [text_of(value) for event in kinds.values() for _, value in of_values(event)]
    odd += [DEEP, "null", "5", '{"event": "started", "run": "a", "run": "b"}', "\0" * 50, "x" * 10**6]
    written = ["\n".join([*path.read_text().splitlines(), text]) + "\n" for text in odd]
    names = sorted(config)
    for text in written:
        path.write_text(text, "utf-8", errors="surrogatepass")
        read, found = list(ledger.read(path)), ledger.review(path)
        assert len(read) + found.odd == len(events) + 1
        if not found.odd:
            overview.write(mine.folder / "runs", names, mine.folder / "results", read, False)


def test_a_damaged_ledger_is_told_in_one_sentence(mine):
    """The line that said how a run ended is damaged: it is not said that the run was interrupted."""
    path = mine.folder / "runs/ledger.jsonl"
    *lines, last = path.read_text().splitlines()
    path.write_text("\n".join([*lines, last.replace('"exit": 1', '"exit": "\\ud800'), DEEP]) + "\n")
    run = mine.lmm("run")
    assert run.status == 0 and "Traceback" not in run.text
    assert "runs/ledger.jsonl: 2 lines cannot be used and are left out (line " in run.text
    assert "interrupted" not in run.text
    assert pl.read_csv(mine.folder / "reports/alpha/fixed.csv").height == 2
