"""A study written by somebody who means harm, and raw files of every bad kind, run by the real Snakemake."""

import json
import os
from html.parser import HTMLParser

import pytest

from tests.support.studies import MODELS, new_study, stanza

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(2)>"
CODE = "__import__('os').system('touch harm')"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Markup in columns, ids and levels; code in a formula and in file names; files that cannot be read."""
    folder = tmp_path_factory.mktemp("hostile") / "study"
    raw = folder / "data"
    raw.mkdir(parents=True)
    rows = [
        f'"{IMAGE}{subject}",{t},{t + subject + (t * subject) % 3},"{SCRIPT if subject % 2 else "b"}"'
        for subject in range(8)
        for t in range(4)
    ]
    header = f'"id{SCRIPT}","t{IMAGE}","y</style>{SCRIPT}","g""g"'
    path = "data/x $(touch harm); `touch harm`.csv"
    (folder / path).write_text("\n".join([header, *rows]) + "\n")
    (raw / "bytes.csv").write_bytes(bytes(range(256)))
    (raw / "folder.csv").mkdir()
    good = [f"{subject},{t},{subject + t * t}\n" for subject in range(5) for t in range(3)]
    (raw / "good.csv").write_text("id,t,y\n" + "".join(good))
    os.mkfifo(raw / "pipe.csv")
    one = {"candidates": ["random_intercept"]}
    markup = {
        "path": path,
        "title": SCRIPT,
        "description": f"</title>{SCRIPT}",
        "subject": f"id{SCRIPT}",
        "time": f"t{IMAGE}",
        "response": f"y</style>{SCRIPT}",
        "group": 'g"g',
        "fixed": f'`t{IMAGE}` * `g"g`',
        "time_label": SCRIPT,
        "response_label": f'" onload="{IMAGE}',
    }
    datasets = {
        "markup": markup | one,
        "code": stanza("good", fixed=f"t + {CODE}") | one,
        "eval": stanza("good", fixed="t + I(().__class__.__bases__)") | one,
        "bytes": stanza("bytes") | one,
        "folder": stanza("folder") | one,
        "pipe": stanza("pipe") | one,
        "gone": stanza("gone") | one,
        "good": stanza("good") | one,
    }
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    before = {entry.name for entry in folder.iterdir()}
    return study, study.lmm("run"), before


def test_every_dataset_ends_with_a_sentence_or_a_result(hostile):
    study, run, _ = hostile
    assert run.status == 20, run.text
    failed = next(e for e in reversed(study.ledger()) if e["event"] == "finished")["datasets"]["failed"]
    assert set(failed) == {"code", "eval", "bytes", "folder", "pipe", "gone"}
    index = (study.folder / "reports/index.html").read_text()
    sentences = {
        "bytes": "is not utf-8",
        "folder": "cannot be read, it is a folder",
        "pipe": "is not a regular file",
        "gone": "there is no file data/gone.csv",
    }
    for name, words in sentences.items():
        assert words in json.loads((study.folder / f"results/{name}/clean.json").read_text())["message"]
        assert words in index
    assert "Traceback" not in run.text


def test_no_code_of_the_study_ran_and_nothing_was_written_elsewhere(hostile):
    study, _, before = hostile
    assert not list(study.folder.rglob("harm"))
    made = {entry.name for entry in study.folder.iterdir()} - before
    assert made <= {"results", "reports", "logs", "runs", ".snakemake"}


def test_no_markup_of_the_study_reaches_a_page(hostile):
    study, _, _ = hostile
    record = json.loads((study.folder / "results/markup/models/random_intercept.json").read_text())
    assert record["status"] in ("ok", "singular"), record["message"]
    pages = [*(study.folder / "reports").glob("*.html"), *(study.folder / "runs").rglob("*.html")]
    made = {str(page.relative_to(study.folder)) for page in pages}
    assert {"reports/index.html", "reports/compare.html", "runs/index.html", "runs/last.html"} < made
    assert {f"reports/{name}.html" for name in study.config["datasets"]} < made
    for page in pages:
        tags = Tags()
        tags.feed(page.read_text("utf-8"))
        assert [tag for tag, _ in tags.found].count("script") == 1
        assert not {"img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in tags.found}
        attributes = {name for _, names in tags.found for name in names}
        assert not [name for name in attributes if name.startswith("on")]
        assert "script-src 'sha256-" in tags.policy and "default-src 'none'" in tags.policy


class Tags(HTMLParser):
    """Every tag of a page with its attributes, as a browser would read them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, set[str]]] = []
        self.policy = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name for name, _ in attrs}))
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
