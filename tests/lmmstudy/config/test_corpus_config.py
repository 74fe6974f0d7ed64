"""Configurations as people write them: `lmm check` on a file with one mistake, and the sentence about it.

Beside the mistakes in test_config, test_config_file and test_config_structures.
"""

import pytest

from lmmstudy.config.check import check
from lmmstudy.config.file import read_config

PLAIN = """
datasets:
  growth:
    path: raw.csv
    subject: id
    time: t
    response: y
    fixed: t
    candidates: [m]
models:
  m: {formula: "{response} ~ {fixed} + (1 | {subject})"}
"""
ROWS = "id,t,y,x\n1,0,1,a\n1,1,2,b\n2,0,3,a\n2,1,2.5,b\n"
FORMULA = '"{response} ~ {fixed} + (1 | {subject})"'

SWAPPED = {
    "datasets:": {
        "dataset:": "the top level: unknown key 'dataset', did you mean 'datasets'?",
        "Datasets:": "the top level: unknown key 'Datasets', did you mean 'datasets'?",
        "cores: 8\ndatasets:": "the top level: unknown key 'cores'",
        "base: &b {path: raw.csv}\ndatasets:": "the top level: unknown key 'base'",
    },
    "models:": {
        "model:": "the top level: unknown key 'model', did you mean 'models'?",
        "models: {}\nmodels:": "line 11: 'models' is already there in line 10",
    },
    "growth:": {
        "my data:": "datasets: the name 'my data' must start with a letter; then letters, digits, _, -",
        "1:": "line 3: the key '1' is not text: put it in quotation marks",
        "2024-01-01:": "datasets: the name '2024-01-01' must start with a letter",
        "..:": "datasets: the name '..' must start with a letter",
        '"\\e[31m":': "datasets: the name '\\x1b[31m' must start with a letter",
        "index:": "datasets.index: choose another name, reports/index.html lists all datasets",
        "compare:": "datasets.compare: choose another name, reports/compare.html sets datasets side by side",
        "growth: raw.csv\n  other:": "datasets.growth: 'raw.csv' is not a section of keys and values",
    },
    "path: raw.csv": {
        "pth: raw.csv": "datasets.growth: unknown key 'pth', did you mean 'path'?",
        "path: rw.csv": "growth was not analysed: there is no file rw.csv: put it there, or correct `path`.",
        "path: config": "growth was not analysed: config cannot be read, it is a folder: correct `path`.",
        "path: ~/raw.csv": "there is no file ~/raw.csv",
        "path: $HOME/raw.csv": "there is no file $HOME/raw.csv",
        "path: '*.csv'": "there is no file *.csv",
        "path: https://example.org/raw.csv": "there is no file https://example.org/raw.csv",
        "path: 'raw.csv '": "there is no file raw.csv :",
        'path: "\\e[31mraw.csv"': "there is no file \\x1b[31mraw.csv",
        'path: "raw\\ncsv"': "'raw\\ncsv' has characters that stand for something else here ('\\n')",
        "path: '{{ name }}.csv'": "has characters that stand for something else here ('{' '}')",
        "path: /dev/zero": "datasets.growth.path: '/dev/zero' is outside the study's folder",
        f"path: {'a' * 300}": "(File name too long): correct this, or `path`.",
        "path: raw.csv/raw.csv": "there is no file raw.csv/raw.csv: put it there, or correct `path`.",
        "path: a: b": "line 4, column 12: this is not YAML: mapping values are not allowed here; put a text",
        "\tpath: raw.csv": "indent with spaces, not with tabs",
    },
    "subject: id": {
        "time_label: who": "datasets.growth: the key 'subject' is missing",
        "subject: ID": "raw.csv has no column 'ID', did you mean 'id'? It has 'id', 't', 'y', 'x'.",
        "subject:": "datasets.growth.subject: null is not a text",
        "subject: 1": "datasets.growth.subject: 1 is not a text; put it in quotation marks",
        "subject: [id]": "datasets.growth.subject: ['id'] is not a text",
        'subject: patient\'s "id"': "raw.csv has no column 'patient\\'s \"id\"'",
        "subject: id.__class__": "raw.csv has no column 'id.__class__'",
        "subject: '*'": "datasets.growth: the column '*' has a name that stands for several columns",
        "subject: ^i.*$": "the column '^i.*$' has a name that stands for several columns; rename it",
        "subject: !!str 1": "line 5, column 14: this is not YAML: the tag '!!str' has no place here",
        'subject: "i\\0d"': "datasets.growth.subject: the column 'i\\x00d' cannot have a backtick",
    },
    "time: t": {
        "time: id": "datasets.growth: subject, time and response must be three different columns",
        "time: day": "raw.csv has no column 'day'",
    },
    "response: y": {
        "response: yes": "datasets.growth.response: True is not a text; YAML reads yes, no, on and off",
        "response: x": "column 'x' holds what is not a number: 'a' in row 2",
        "repsonse: y": "datasets.growth: unknown key 'repsonse', did you mean 'response'?",
    },
    "fixed: t": {
        "fixed: [t, x]": "datasets.growth.fixed: ['t', 'x'] is not a text",
        "fixed: ''": "datasets.growth.fixed: '' must not be empty",
        "fixed: y ~ t": "datasets.growth.fixed: 'y ~ t' must be the right-hand side alone, without '~'",
        "fixed: t + dose": "raw.csv has no column 'dose'",
        "fixed: t +": "m cannot be fitted to growth: 'y ~ t + + (1 | id)'",
        "fixed: (t": "m cannot be fitted to growth: 'y ~ (t + (1 | id)': The parenthesis opened at",
        "fixed: '`^.*$`'": "the column '^.*$' has a name that stands for several columns; rename it",
        'fixed: "\\ud800"': "datasets.growth.fixed: '\\ud800' has half a character; correct it",
        "fixed: t.__class__": "looks like an attribute, which formulas do not have",
        "fixed: foo(t)": "The function 'foo' at character",
        "fixed: t; import os": "m cannot be fitted to growth: 'y ~ t; import os + (1 | id)'",
        "fixed: \"__import__('os')\"": "The text in quotes at character 16 of the formula has no place there",
    },
    "[m]": {
        "m": "datasets.growth.candidates: 'm' is not a list",
        "[m, m]": "datasets.growth.candidates: ['m', 'm'] names the same thing twice",
        "[]": "datasets.growth.candidates: [] needs at least 1 item(s)",
        "[null]": "datasets.growth.candidates.0: null is not a text",
        "[M]": "datasets.growth.candidates: there is no model 'M', did you mean 'm'? (models: m)",
        "[m, 1]": "datasets.growth.candidates.1: 1 is not a text",
        "[m": "this is not YAML: expected ',' or ']'",
    },
    f"{{formula: {FORMULA}}}": {
        "": "models: {} needs at least 1 entry",
        FORMULA: "is not a section of keys and values",
        "{residual: {type: ar1}}": "models.m: the key 'formula' is missing",
        f"{{formula: {FORMULA}, residual: ar1}}": "models.m.residual: 'ar1' is not a section of keys",
        f"{{formula: {FORMULA}, residual: {{type: AR1}}}}": "'AR1' is not allowed, did you mean 'ar1'?",
        f"{{formula: {FORMULA}, residual: {{type: ar1, order: 2}}}}": "residual: unknown key 'order'",
        f"{{formula: {FORMULA}, variance: {{type: [power]}}}}": "variance.type: ['power'] is not allowed",
        f"{{formula: {FORMULA}, family: poisson}}": "models.m: unknown key 'family'",
    },
    FORMULA: {
        "[a]": "models.m.formula: ['a'] is not a text",
        "{response} ~ {fixed}": "this is not YAML",
        '"{response} + (1 | {subject})"': "needs exactly one '~' between response and terms",
        '"y ~ x ~ t"': "models.m.formula: 'y ~ x ~ t' needs exactly one '~'",
        '"{response} ~"': "The right side of the formula is empty",
        '"~ {fixed}"': "The formula has no response before '~'",
        '"{response} ~ {fixd}"': "models.m.formula: {fixd} has no meaning, did you mean 'fixed'?",
        '"{response.__class__} ~ {fixed}"': "{response.__class__} has no meaning, did you mean 'response'?",
        '"{0} ~ {fixed}"': "models.m.formula: {0} has no meaning",
        '"{{response}} ~ {fixed}"': "The character '{' at character 1 of the formula has no meaning",
        '"{response} ~ {group}"': "the candidate 'm' uses {group}, but the dataset names no `group`",
        '"{response} ~ {fixed} + 1 | {subject}"': "A random term needs parentheses",
        '"{response} ~ {fixed} + (1 | )"': "A random term needs a grouping column after '|'",
        '"{response} ~ bs(t, dff=3)"': "bs in 'bs(t, dff=3)' has no setting 'dff'; it has df, degree",
        '"5 ~ {fixed}"': "The response must be a column or a function of columns",
    },
}
KEYS = {
    "duplicates: mean_of": "growth.duplicates: 'mean_of' is not allowed, did you mean 'mean'?",
    "duplicates: true": "growth.duplicates: True is not allowed (allowed: 'error', 'first', 'last'",
    "separator: tab": "growth.separator: 'tab' must be at most 1 character(s) long",
    "separator: '.'": "growth.separator: '.' cannot separate fields; allowed are a comma, a semicolon",
    "separator: 5": "growth.separator: 5 is not a text; put it in quotation marks",
    "separator: ';'": "raw.csv has no columns 'id', 't', 'y'; is the `separator` ','?",
    "decimal: comma": "growth.decimal: 'comma' is not allowed (allowed: '.', ',', 'both')",
    "encoding: UTF8-BOM": "growth.encoding: Python knows no text encoding 'UTF8-BOM'",
    "encoding: rot13": "growth.encoding: Python knows no text encoding 'rot13'",
    "encoding: 1252": "growth.encoding: 1252 is not a text; put it in quotation marks",
    "missing: -99": "growth.missing: -99 is not a list",
    "missing: [1.0e200]": "growth.missing: 1e+200 is beyond everything measured; numbers go up to 1e+100",
    "range: {y: [0, 010]}": "growth.range.y.1: '010' is not a number; write 10, without quotation marks",
    "range: {y: [0, 1:30]}": "growth.range.y.1: '1:30' is not a number",
    "range: {y: [0, 0x10]}": "growth.range.y.1: '0x10' is not a number",
    f"range: {{y: [0, 1{'0' * 400}]}}": "growth.range.y: 1000",
    "max_age: 1e3": "growth.max_age: '1e3' is not a number; write 1000, without quotation marks",
    "max_age: '30'": "growth.max_age: '30' is not a number; write 30, without quotation marks",
    "missing: [no]": "growth.missing.0: False is not a text or a number; YAML reads yes, no",
    "range: [0, 1]": "growth.range: [0, 1] is not a section of keys and values",
    "range: {y: '0-1'}": "growth.range.y: '0-1' is not a list",
    "range: {y: [2, 1]}": "growth.range.y: [2, 1] must be [lowest, highest]",
    "range: {y: [0, .inf]}": "growth.range.y: `.inf` is no number; leave the key out, or give a number",
    "range: {z: [0, 1]}": "growth.range: no model uses a column 'z' (used: 'id', 't', 'y')",
    "categories: [x]": "growth.categories: ['x'] is not a section of keys and values",
    "categories: {arm: [a, b]}": "growth.categories: no model uses a column 'arm'",
    "categories: {t: [1, '1']}": "growth.categories.t: [1, '1'] names the same level twice",
    "group: y": "group 'y' holds numbers: list its levels under `categories`",
    "group: [x]": "growth.group: ['x'] is not a text",
    "time_unit: d": "growth.time_unit: 'd' is not allowed (allowed: 'seconds', 'minutes', 'hours', 'days'",
    "time_unit: days": "column 't' holds what is not a date, or not written like the others: '0' in row 2",
    "time_zero: 2024-01-01": "growth.time_zero: is about dates; name the unit they are counted in",
    "date_format: '%d'": "growth.date_format: is about dates; name the unit they are counted in",
    "max_age: 0": "growth.max_age: 0 must be greater than 0",
    "max_age: 30d": "growth.max_age: '30d' is not a number",
    "max_age: .inf": "growth.max_age: `.inf` is no number",
    "wide: [w0, w4]": "growth.wide: ['w0', 'w4'] is not a section of keys and values",
    "wide: {}": "growth.wide: {} needs at least 1 entry",
    "wide: {w0: baseline}": "growth.wide.w0: 'baseline' is not a number",
    "wide: {x: 1}": "column 'y' holds what is not a number: 'a' in row 2",
    "title: 5": "growth.title: 5 is not a text; put it in quotation marks",
    "1.5: 2": "line 9: the key '1.5' is not text",
}
ENDINGS = {
    "selection: aic": "selection: 'aic' is not a section of keys and values",
    "selection: {criterion: AIC}": "selection.criterion: 'AIC' is not allowed, did you mean 'aic'?",
    "selection: {alpha: 0}": "selection.alpha: 0 must be greater than 0",
    "selection: {alpha: '0.05'}": "selection.alpha: '0.05' is not a number",
    "report: {df: kr}": "report.df: 'kr' is not allowed (allowed: 'satterthwaite', 'kenward-roger'",
    "report: {conf_level: 95}": "report.conf_level: 95 must be less than 1",
    "report: {conf_level: .nan}": "report.conf_level: `.nan` is no number",
    "report: {level: 0.9}": "report: unknown key 'level', did you mean 'conf_level'?",
    "runs: {tolerance: -1}": "runs.tolerance: -1 must be at least 0",
    "runs: {tolerance: .inf}": "runs.tolerance: `.inf` is no number",
    "files: {raw_folders: /data}": "files.raw_folders: '/data' is not a list",
    "files: {raw_folders: ['']}": "files.raw_folders.0: '' must not be empty",
    "on: 1": "line 12: the key 'on' is not text",
    "---\na: 1": "but found another document",
    "x: !!timestamp soon": "the tag '!!timestamp' has no place here",
    "x: !!int ''": "the tag '!!int' has no place here",
    "x: !!map [a]": "the tag '!!map' has no place here",
    "x: !include /etc/passwd": "the tag '!include' has no place here",
    "x: &a [*a]": "its aliases (*name) repeat too much, or contain themselves",
    "x: !!python/name:os.system": "line 12, column 4: this is not YAML: the tag '!!python/name:os.system'",
}
MISTAKES = [
    *((PLAIN.replace(old, new, 1), words) for old, swaps in SWAPPED.items() for new, words in swaps.items()),
    *((PLAIN.replace("    candidates", f"    {key}\n    candidates"), words) for key, words in KEYS.items()),
    *((PLAIN + ending + "\n", words) for ending, words in ENDINGS.items()),
]
NAMES = [name for part in (*SWAPPED.values(), KEYS, ENDINGS) for name in part]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.csv").write_text(ROWS)
    (tmp_path / "config").mkdir()
    return tmp_path


def checked(folder, text: str) -> str:
    (folder / "config/config.yaml").write_text(text)
    return "\n".join(check("config/config.yaml"))


def test_without_a_mistake_there_is_no_sentence(folder):
    assert checked(folder, PLAIN) == ""


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=map(repr, NAMES))
def test_one_mistake(folder, text, words):
    said = checked(folder, text)
    assert words in said
    assert all(line.isprintable() for line in said.splitlines())


def test_numbers_that_yaml_reads_in_its_own_way_stay_as_they_are_written(folder):
    """Levels and codes with leading zeros; and a character that JSON writes as two halves."""
    keys = (
        'title: "\\ud83d\\ude00"\n    missing: [010, 1:30, 1_0]\n    categories: {site: [01, 02]}\n    fixed'
    )
    (folder / "c.yaml").write_text(PLAIN.replace("fixed", keys, 1))
    stanza = read_config("c.yaml")["datasets"]["growth"]
    assert stanza["missing"] == ["010", "1:30", "1_0"]
    assert stanza["categories"] == {"site": ["01", "02"]}
    assert stanza["title"] == "\U0001f600"


LAUGHS = "".join(f"l{k}: &l{k} {{<<: [{', '.join([f'*l{k - 1}'] * 9)}]}}\n" for k in range(1, 13))


def test_mappings_that_take_in_each_other_without_end(folder):
    said = checked(folder, "l0: &l0 {a: 1, b: 2}\n" + LAUGHS + PLAIN)
    assert "`<<` repeats too much" in said


def test_a_large_study_is_checked(folder):
    stanza = PLAIN.split("datasets:")[1].split("models:")[0]
    study = "".join(stanza.replace("growth", f"growth{k}").strip("\n") + "\n" for k in range(300))
    assert checked(folder, f"datasets:\n{study}models:{PLAIN.split('models:')[1]}") == ""


SECOND = """
  second:
    path: gone.csv
    subject: id
    time: t
    response: y
    fixed: t
    candidates: [m, open]
models:
  open: {formula: "{response} ~ (1 | {subject}"}
"""


def test_many_mistakes_are_told_together(folder):
    """A key, a value, a formula, a raw file."""
    text = PLAIN.replace("fixed: t", "fixed: t\n    tittle: Growth\n    decimal: ;")
    said = checked(folder, text.replace("models:", SECOND.strip("\n")))
    for words in (
        "datasets.growth: unknown key 'tittle', did you mean 'title'?",
        "datasets.growth.decimal: ';' is not allowed",
        "open cannot be fitted to second: 'y ~ (1 | id': The parenthesis opened",
        "second was not analysed: there is no file gone.csv",
    ):
        assert words in said
