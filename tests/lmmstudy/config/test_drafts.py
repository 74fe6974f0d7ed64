"""`lmm init` on a corpus of tables: excerpts of published data sets and simulated ones, in the forms of many
programs. drafts/SOURCES.md says where they are from; expected.yaml holds the right drafts."""

import re
from pathlib import Path

import pytest
import yaml

from lmmstudy.clean.clean import problems_of_raw
from lmmstudy.cli import main
from lmmstudy.config.check import check
from lmmstudy.config.draft import draft
from lmmstudy.config.study import load, plan

ROOT = Path(__file__).resolve().parents[3]
CORPUS = Path(__file__).parent / "drafts"
EXPECTED = yaml.safe_load((CORPUS / "expected.yaml").read_text("utf-8"))
MODELS = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))["models"]
STOPPED = {
    "bacteria.csv": "no column",  # the response is y and n
    "seizure.csv": "no column",  # nobody has a number
    "thousands.csv": "separators of thousands are not read",
    "ids_anew.csv": "contradicting rows",
}
"""Files that cannot be analysed as they are, with words of the sentence that says so."""


@pytest.fixture
def corpus(monkeypatch):
    """The corpus as the working directory."""
    monkeypatch.chdir(CORPUS)


def stanza(path: str) -> dict:
    """The one stanza of a draft."""
    (drafted,) = yaml.safe_load(draft(path)).values()
    return drafted


def test_every_file_has_its_right_draft():
    assert {path.name for path in (CORPUS / "files").iterdir()} == set(EXPECTED) and len(EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED)
def test_the_draft_is_right(corpus, name):
    found = stanza(f"files/{name}")
    assert found.pop("path") == f"files/{name}"
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_draft_is_a_sound_configuration_and_its_file_can_be_used(corpus, name):
    config = load({"datasets": {"d": stanza(f"files/{name}")}, "models": MODELS})
    found = problems_of_raw("d", f"files/{name}", plan(config)["d"]["clean"])
    if name in STOPPED:
        assert STOPPED[name] in found[0]
    else:
        assert found == []


@pytest.mark.parametrize("name", EXPECTED)
def test_every_guess_says_that_it_is_one(corpus, name):
    """Beside what stands in the file (its path, columns of `wide`) every line has a remark."""
    chosen = re.compile(r" *(path|time|response|wide|\S+: -?[\d.]+$|\"[^\"]+\": -?[\d.]+$)")
    for line in draft(f"files/{name}").splitlines()[2:]:
        if line.strip().startswith("#") or line.strip().endswith(":"):
            continue
        told = any(words in line for words in ("a guess", "a name for", "no column"))
        assert told or chosen.match(line), line


def test_remarks_about_the_file_itself(corpus):
    assert "# steps has separators of thousands (a guess)" in draft("files/thousands.csv")
    assert "# patient begins anew in each centre (a guess)" in draft("files/ids_anew.csv")
    assert "# columns of other responses, for a dataset each: dbp" in draft("files/wide_two.csv")
    assert "# score_baseline is the value before: a covariate (a guess)" in draft("files/wide_baseline.csv")
    assert "unstructured: an MMRM, for planned visits" in draft("files/title.csv")


def test_a_covariate_of_a_wide_table_and_a_time_share_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("id,weight,weight1,weight2,weight3\n1,5,1,2,3\n2,6,2,3,4\n")
    assert stanza("d.csv")["response"] == "value"


def test_names_of_rows_without_a_name_are_told(tmp_path, monkeypatch, capsys):
    """What R's write.table writes: one name fewer than there are fields."""
    monkeypatch.chdir(tmp_path)
    Path("d.txt").write_text('"id" "t" "y"\n"1" 1 0 5\n"2" 1 1 6\n')
    assert main(["init", "d.txt"]) == 1
    assert "write the file with `row.names = FALSE`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"subject": "s", "time": "d", "response": "y"},
            "'d' has 103 values, and a s at most 16 rows: is it a time, and not",
        ),
        (
            {"subject": "service", "response": "y"},
            "'service' has 2 levels in 120 rows: does it say who",
        ),
        ({"subject": "s", "response": "lectage"}, None),
        ({"subject": "d", "response": "y"}, None),
    ],
)
def test_check_warns_of_implausible_choices(corpus, tmp_path, capsys, columns, words):
    """A lecturer as the time, a subject with two levels (ratings of lecturers by students)."""
    models = {"m": {"formula": "{response} ~ 1 + (1 | {subject})"}}
    dataset = {"path": "files/insteval.csv", "fixed": "1", "candidates": ["m"], **columns}
    if "time" in columns:
        dataset["duplicates"] = "keep"
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"datasets": {"d": dataset}, "models": models}))
    assert main(["check", "--config", str(config)]) == 0
    said = capsys.readouterr().err
    assert said == "" if words is None else f"Please look again: d: {words}" in said


@pytest.mark.parametrize("name", ["sleepstudy", "orthodont", "ovary", "bodyweight", "clinic"])
def test_no_doubt_about_the_embedded_studies(monkeypatch, capsys, name):
    monkeypatch.chdir(ROOT)
    assert main(["check"]) == 0
    assert f"{name}:" not in capsys.readouterr().err


STANZA = """datasets:
  trial:
{draft}models:
  random_intercept: {{formula: "{{response}} ~ {{fixed}} + (1 | {{subject}})"}}
  random_slope: {{formula: "{{response}} ~ {{fixed}} + (1 + {{time}} | {{subject}})"}}
"""


@pytest.mark.parametrize(("arms", "sound"), [("drug, placebo", True), ("drugs, placebo", False)])
def test_a_drafted_question_can_be_asked_and_its_arms_are_looked_for_in_the_file(
    tmp_path, monkeypatch, arms, sound
):
    monkeypatch.chdir(tmp_path)
    rows = [f"p{k},{('placebo', 'drug')[k % 2]},{t},{k * 7 % 5 + t}" for k in range(12) for t in (0, 4)]
    Path("trial.csv").write_text("id,arm,week,score\n" + "\n".join(rows) + "\n")
    lines = draft("trial.csv").splitlines(keepends=True)
    (asked,) = [line for line in lines if "# question:" in line]
    assert "arms: [drug, placebo]" in asked
    kept = [line.replace("# question:", "question:") for line in lines if "categories:" not in line]
    kept = "".join(line for line in kept[2:]).replace("[drug, placebo]", f"[{arms}]")
    Path("own.yaml").write_text(STANZA.format(draft=kept))
    found = check("own.yaml")
    if sound:
        assert not found
    else:
        assert len(found) == 1
        assert "trial.question.arms: 'arm' has no level 'drugs', did you mean 'drug'" in found[0]
