"""Whatever formula meets whatever rows: a fit, or a sentence; no exception of another kind."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmcore as lmm
from lmmcore.errors import LmmError

ROWS = pl.DataFrame(
    {
        "y": [1.0, 2.5, 3.0, 2.0, 4.5, 5.0, 1.5, 2.0, 4.0, 3.0, 3.5, 6.0],
        "t": [0.0, 1.0, 2.0] * 4,
        "x": [0.3, -1.2, 0.7, 0.1, 2.2, -0.4, 0.9, 0.0, 1.1, -0.6, 0.2, 0.5],
        "g": ["a", "b", "a", "a", "b", "b"] * 2,
        "one": ["only"] * 12,
        "id": [k for k in "pqrs" for _ in range(3)],
        "two words": list(range(12)),
    }
)
COLUMNS = st.sampled_from(["y", "t", "x", "g", "one", "id", "`two words`", "absent"])
CALLS = st.sampled_from(
    [
        *(
            "log({})",
            "exp({})",
            "I({} ** 2)",
            "scale({})",
            "center({})",
            "C({})",
            "poly({}, 2)",
            "bs({}, df=4)",
        ),
        *("cr({}, df=3)", "poly({}, 9)", "log(0 * {})", "1 / {}", "{}.real", "lambda: {}", "I({} ** 999)"),
    ]
)
ATOMS = COLUMNS | st.builds(str.format, CALLS, COLUMNS) | st.sampled_from(["0", "1", "2", ""])
TERMS = st.recursive(
    ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*:/^"), inner).map(" ".join) | inner.map("({})".format),
    max_leaves=4,
)
GROUPS = st.sampled_from(["id", "id", "g/id", "g", "one", "t", "x:id"])
RANDOM = st.builds("({} {} {})".format, TERMS, st.sampled_from(["|", "||"]), GROUPS)
FORMULAS = st.builds(
    lambda response, fixed, random: f"{response} ~ {' + '.join([fixed, *random])}",
    st.sampled_from(["y", "y", "y", "log(y)", "g", "1"]),
    TERMS,
    st.lists(RANDOM, max_size=2),
)
SERIAL = st.sampled_from([None, None, lmm.AR1("t", subject="id"), lmm.Unstructured("t", subject="id")])


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, derandomize=True)
@given(formula=FORMULAS, serial=SERIAL)
def test_any_formula(formula, serial):
    try:
        fit = lmm.fit(formula, ROWS, residual=serial)
    except LmmError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert fit.nobs == 12 and fit.certificate.sentence


def test_a_singular_fit_without_fixed_effects_is_printed():
    fit = lmm.fit("t ~ 0 + (y | id)", ROWS, residual=lmm.AR1("t", subject="id"))
    assert fit.certificate.boundary and "Random effects" in str(fit)


def test_more_columns_than_rows_of_polynomials_are_counted():
    with pytest.raises(LmmError, match="12 rows cannot estimate 20 fixed effects"):
        lmm.fit("y ~ poly(x, 9) * exp(t)", ROWS)
