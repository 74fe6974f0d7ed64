"""Whatever stands in a configuration or a formula: a listing of problems, no exception of another kind."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st
from test_config import CONFIG

from lmmcore.errors import LmmError
from lmmcore.formula.parse import parse
from lmmstudy.config.file import read_config
from lmmstudy.config.formulas import columns_of
from lmmstudy.config.study import ConfigError, load, plan

WORDS = st.sampled_from(["growth", "slope", "height", "{time}", "{x}", "../a", "", "`", "~", "a\nb", "<b>"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *("path", "subject", "time", "response", "fixed", "candidates", "group", "categories", "missing"),
    *("range", "duplicates", "separator", "decimal", "encoding", "wide", "time_unit", "time_zero"),
    *("date_format", "max_age", "title", "time_label", "unknown"),
]
PLACES = st.sampled_from(
    [("datasets",), ("models",), ("files",), ("runs",), ("files", "raw_folders"), ("datasets", "growth")]
    + [("selection", "alpha"), ("models", "slope"), ("models", "slope", "residual")]
    + [("models", "slope", part) for part in ("formula", "variance")]
    + [("datasets", "growth", key) for key in KEYS]
)


def put(config: dict, place: tuple[str, ...], value: object) -> None:
    for key in place[:-1]:
        inner = config.get(key)
        config[key] = inner if isinstance(inner, dict) else {}
        config = config[key]
    config[place[-1]] = value


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=3))
def test_any_values_in_a_configuration(changes):
    config = copy.deepcopy(CONFIG)
    for place, value in changes:
        put(config, place, value)
    try:
        assert plan(load(config))
    except ConfigError as error:
        assert str(error).startswith("The configuration has ")


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@`, \n\t?0.é\0~"), max_size=30))
def test_any_text_as_a_configuration_file(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("yaml") / "c.yaml"
    path.write_text(text, "utf-8")
    try:
        assert isinstance(read_config(path), dict)
    except ConfigError as error:
        assert f"Correct {path}" in str(error)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("yxt ~+-*/:^()|`'\"0159.,=[]{}\\_é\n"), max_size=30))
def test_any_text_as_a_formula(text):
    columns_of(text)
    try:
        parse(text)
    except LmmError as error:
        assert str(error)
