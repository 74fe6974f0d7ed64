"""Configuration files: plain data, every doubtful text refused with its line; paths that stay in bounds."""

import os

import pytest
from test_config import CONFIG, changed, problems

from lmmstudy.config.file import read_config
from lmmstudy.config.places import usable
from lmmstudy.config.study import ConfigError, load, study

BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line 1, column 6: this is not YAML: expected ',' or ']'"),
        ("\ta: 1", "indent with spaces, not with tabs"),
        ("a: b: c", "line 1, column 5: this is not YAML: mapping values are not allowed here; put a text"),
        ("datasets:\n  x: 1\n  x: 2\n", "line 3: 'x' is already there in line 2"),
        ("no: 1", "line 1: the key 'no' is not text: put it in quotation marks"),
        ("a:\n  1: b", "line 2: the key '1' is not text"),
        ("? [a]\n: 2", "this is not YAML: found unhashable key"),
        ("- a", "it must be a mapping with the keys `datasets` and `models`"),
        ("", "it must be a mapping"),
        ("a: 1\n---\nb: 2", "found another document"),
        ("a: *nowhere", "found undefined alias 'nowhere'"),
        ("a: !!python/object/apply:os.system ['true']", "the tag '!!python/object/apply:os.system' has"),
        ("a: \x01", "the character '\\x01' is not allowed in YAML"),
        ("[" * 3000, "lists and mappings are nested more than 50 deep"),
        ("a: &x [*x]", "its aliases (*name) repeat too much, or contain themselves"),
        (BOMB, "its aliases (*name) repeat too much"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(tmp_path, text, words):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert words in str(error.value) and f"Correct {path}" in str(error.value)
    assert str(error.value).startswith("The configuration has 1 problem:")


def test_several_doubtful_keys_are_listed_together(tmp_path):
    (tmp_path / "c.yaml").write_text("a: 1\na: 2\non: 3\n")
    with pytest.raises(ConfigError, match="has 2 problems"):
        read_config(tmp_path / "c.yaml")


def test_dates_stay_text_and_a_byte_order_mark_is_no_character(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfa: 2024-01-05\nb: {<<: {c: 1}, d: 2}\n")
    assert read_config(tmp_path / "c.yaml") == {"a": "2024-01-05", "b": {"c": 1, "d": 2}}


def test_files_that_are_not_there_or_not_utf8(tmp_path):
    with pytest.raises(ConfigError, match="There is no configuration"):
        read_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)
    (tmp_path / "c.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 3"):
        read_config(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"range": {"height": [float("nan"), 1]}}, "datasets.growth.range.height: `.nan` is no number"),
        ({"separator": '"'}, "growth.separator: '\"' cannot separate fields"),
        ({"separator": "x"}, "growth.separator: 'x' cannot separate fields"),
        ({"separator": "\n"}, "growth.separator: '\\n' cannot separate fields"),
        ({"encoding": "utf-9"}, "growth.encoding: Python knows no text encoding 'utf-9'"),
        ({"encoding": "zlib"}, "growth.encoding: Python knows no text encoding 'zlib'"),
        ({"encoding": "a\0b"}, "growth.encoding: Python knows no text encoding"),
        ({"categories": {"sex": [True, False]}}, "YAML reads yes, no, on and off as true and false"),
        ({"subject": "a`b"}, "growth.subject: the column 'a`b' cannot have a backtick"),
        ({"time": "a\nb"}, "growth.time: the column 'a\\nb' cannot have a backtick or a line break"),
        ({"time_zero": "2024-01-01"}, "growth.time_zero: is about dates; name the unit"),
        ({"time_unit": "day"}, "growth.time_unit: 'day' is not allowed, did you mean 'days'?"),
        ({"time_unit": "days", "time_zero": "1.2.24"}, "growth.time_zero: '1.2.24' is no date"),
        ({"time_unit": "days", "wide": {"w0": 0}}, "growth.time_unit: the times of `wide` are numbers"),
        ({"wide": {"w0": 1, "w1": 1}}, "growth.wide: two columns have the same time"),
        ({"wide": {"child": 1}}, "growth.wide.child: is the `subject` or the `group`"),
        ({"wide": {"w0": "one"}}, "growth.wide.w0: 'one' is not a number"),
        ({"missing": [[1]]}, "growth.missing.0: [1] is not a text or a number"),
        ({"decimal": ";"}, "growth.decimal: ';' is not allowed"),
        ({"separator": ""}, "growth.separator: '' must not be empty"),
        ({"separator": "::"}, "growth.separator: '::' must be at most 1 character(s) long"),
        ({"range": {"height": [1]}}, "growth.range.height: [1] needs at least 2 item(s)"),
        ({"categories": {"sex": ["m"]}}, "growth.categories.sex: ['m'] needs at least 2 item(s)"),
        ({"categories": {"sex": ["m", "m"]}}, "growth.categories.sex: ['m', 'm'] names the same thing twice"),
        ({"fixed": 1}, "growth.fixed: 1 is not a text"),
        ({"path": ""}, "growth.path: '' must not be empty"),
        ({"path": "data/{x}.csv"}, "growth.path: 'data/{x}.csv' has characters that stand for something"),
        ({"path": "<results>/x.csv"}, "has characters that stand for something else here ('<' '>')"),
        ({"path": ["a.csv"]}, "growth.path: ['a.csv'] is not a text"),
        ({"path": "/etc/passwd"}, "growth.path: '/etc/passwd' is outside the study's folder"),
        ({"path": "../x.csv"}, "growth.path: '../x.csv' is outside the study's folder"),
        ({"path": "data/../../x.csv"}, "is outside the study's folder"),
        ({"path": "a\0b"}, "growth.path: 'a\\x00b' is no path of a file"),
    ],
)
def test_values_that_cannot_be_meant(keys, words):
    assert any(words in problem for problem in problems(changed(**keys)))


NAMES = ["../up", "a/b", "a\n", "", "a b", "1a", "<b>", "a.b", "é", "x" * 101, "a;rm"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_no_file_names_are_refused(name):
    config = CONFIG | {"datasets": {name: CONFIG["datasets"]["growth"]}}
    assert any("must start with a letter" in p or "must be at most 100" in p for p in problems(config))
    models = {name: CONFIG["models"]["slope"], **CONFIG["models"]}
    with pytest.raises(ConfigError):
        load(CONFIG | {"models": models})


def test_names_that_are_one_file_on_some_disks_are_refused():
    growth = CONFIG["datasets"]["growth"]
    (problem,) = problems(CONFIG | {"datasets": {"growth": growth, "Growth": growth}})
    assert problem.startswith("datasets.Growth: differs from 'growth' in letter case alone")
    (problem,) = problems(CONFIG | {"datasets": {"Index": growth}})
    assert problem.startswith("datasets.Index: choose another name")


def test_a_link_out_of_the_folder_counts_as_outside_until_allowed(tmp_path, monkeypatch):
    inside, outside = tmp_path / "study", tmp_path / "registry"
    inside.mkdir(), outside.mkdir()
    (outside / "x.csv").write_text("a\n")
    (inside / "link.csv").symlink_to(outside / "x.csv")
    monkeypatch.chdir(inside)
    (problem,) = problems(changed(path="link.csv"))
    assert str(outside) in problem
    allowed = {"files": {"raw_folders": ["../registry"]}}
    assert load(changed(path="link.csv") | allowed)
    assert load(changed(path=str(outside / "x.csv")) | allowed)
    with pytest.raises(ConfigError):  # the beginning of a name is not its folder
        load(changed(path="../registry2/x.csv") | allowed)


def test_the_files_given_replace_the_study_and_single_keys_change_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(str(CONFIG))
    config = study({"study_config": "c.yaml", "selection": {"criterion": "bic"}})
    assert list(config["datasets"]) == ["growth"] and config["selection"]["criterion"] == "bic"
    assert study({"study_config": "c.yaml", "report": {"conf_level": "0.9"}})["report"]["conf_level"] == 0.9
    other = CONFIG | {"datasets": {"other": CONFIG["datasets"]["growth"]}}
    assert list(study(other, ["mine.yaml"])["datasets"]) == ["other"]
    with pytest.raises(ConfigError, match="Correct mine.yaml"):
        study({"datasets": {}}, ["mine.yaml"])


def test_usable_files(tmp_path):
    (tmp_path / "x").write_text("x")
    os.symlink(tmp_path / "absent", tmp_path / "dangling")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert usable(tmp_path / "x")
    for name in ("", "dangling", "loop", "absent", "x/y", "a\0b"):
        assert not usable(str(tmp_path / name))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: " + "[" * 5000 + "]" * 5000,
        "{a: " * 5000 + "1" + "}" * 5000,
        "".join(f"{' ' * k}a:\n" for k in range(5000)),
        "- " * 5000 + "1\n",
    ],
    ids=["open", "lists", "mappings", "block", "dashes"],
)
def test_what_is_nested_without_end_is_refused_before_it_is_built(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match="lists and mappings are nested more than 50 deep"):
        read_config(tmp_path / "c.yaml")
