"""Model matrices: formulaic is the oracle for names and numbers."""

import json
import warnings

import formulaic
import numpy as np
import pandas as pd
import polars as pl
import pytest

from lmmcore.data.table import Factor, read
from lmmcore.errors import DataError, FormulaError
from lmmcore.formula.design import Design
from lmmcore.formula.expressions import evaluate, response
from lmmcore.formula.parse import parse


def frame(n: int, seed: int) -> pd.DataFrame:
    """Every combination of the categories a, b, c occurs; numbers are positive."""
    rng = np.random.default_rng(seed)
    row = np.arange(n)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.gamma(3, size=n),
            "t": row % 7,
            "k": row % 3 + 1,
            "my col": rng.normal(size=n) + 9,
            "a": np.array(["p", "q", "r"])[row % 3],
            "b": np.array(["v", "u"])[row // 3 % 2],
            "c": np.array(["no", "yes"])[row // 6 % 2],
        }
    )


TRAIN, NEW = frame(60, 1), frame(24, 2).iloc[::-1].reset_index(drop=True)

BATTERY = [
    "1", "x", "x + t", "0 + x", "x - 1", "x + t - t", "a", "0 + a", "a - 1", "a + b", "0 + a + b",
    "x + a", "0 + x + a", "a:b", "0 + a:b", "a + a:b", "b + a:b", "b:a + a", "a*b", "0 + a*b", "a*b - a",
    "a*b*c", "0 + a*b*c", "a:b:c", "a + b:c", "a:b + a:c", "b:c + a:b:c", "a + b:c + a:c", "x:a",
    "0 + x:a", "x + x:a", "a + x:a", "x*a", "x*a - x", "a:x + x:a", "x:t", "x*t*a", "t:a:b", "x + a:b:x",
    "b:x + a:b", "a:t:b + t:b", "x*a*b - x:a", "a/b", "a/b/c", "a/x", "x/a", "(a + b)/x", "x/(t + a)",
    "(a + x):(b + t)", "(a + b + x)^2", "(a + b + c)^3 - a:b", "(x + a)**2", "`my col`", "`my col`:a",
    "log(`my col`)", "log(x)", "log( x+1 )", "log1p(x):a", "exp(-x)", "sqrt(x) + I(x**2)",
    "I(x*2.50 - t/k)", "I(1e-3*x)", "I(-x + t)", "I((x + t)*k)", "scale(x)", "scale(x):a",
    "scale(log(x))", "center(x)*b", "poly(t, 2)", "poly(t,degree=3)", "poly(x, 4)", "poly(t, 2):a",
    "a*poly(t, 2)", "poly(t, 2):poly(x, 2)", "poly(t, 3, raw=True)", "bs(x, df=5)", "bs(x, degree=2)",
    "bs(x, df=4):b", "bs(x, df=6, degree=2, lower_bound=0, upper_bound=30)", "0 + bs(x, df=4)",
    "cr(x, df=4)", "cr(t, df=3) + b", "C(a)", "C(k)", "C(k)*b", "C(a):x", "0 + C(k):t",
]  # fmt: skip


def oracle(right: str, data: pd.DataFrame, spec=None):
    """formulaic's matrix; its power is **, and its functions lack log1p and sqrt, which R has."""
    context = {"log1p": np.log1p, "sqrt": np.sqrt}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if spec is not None:
            return spec.get_model_matrix(data, context=context)
        return formulaic.model_matrix(right, data, context=context)


def learnt(right: str, data: pd.DataFrame = TRAIN):
    formula = parse(f"y ~ {right}")
    table = read(data, formula.variables)
    return Design.learn(formula.fixed, table), table


@pytest.mark.parametrize("right", BATTERY)
def test_names_and_columns_are_formulaics(right):
    expected = oracle(right, TRAIN)
    design, table = learnt(right)
    assert design.names == tuple(expected.columns)
    found = np.column_stack(design.columns(table))
    np.testing.assert_allclose(found, expected.to_numpy(float), rtol=1e-10, atol=1e-12)
    assert all(column.dtype == np.float64 and column.shape == (60,) for column in design.columns(table))


@pytest.mark.parametrize("right", [right for right in BATTERY if "bs(x" not in right or "bound" in right])
def test_new_rows_are_coded_as_formulaics_spec_codes_them(right):
    spec = oracle(right, TRAIN).model_spec
    expected = oracle(right, NEW, spec)
    design, _ = learnt(right)
    saved = Design.from_dict(json.loads(json.dumps(design.to_dict())))
    assert saved == design
    table = read(NEW, design.variables) if design.variables else read(NEW, ["y"])
    found = np.column_stack(saved.columns(table))
    np.testing.assert_allclose(found, expected.to_numpy(float), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("right", BATTERY)
def test_categories_alone_never_make_the_matrix_singular(right):
    if right in ("poly(t, 2):poly(x, 2)", "0 + bs(x, df=4)") or "cr(" in right:  # not a matter of coding
        return
    design, table = learnt(right)
    matrix = np.column_stack(design.columns(table))
    assert np.linalg.matrix_rank(matrix / np.linalg.norm(matrix, axis=0)) == len(design.names)


@pytest.mark.parametrize("right", BATTERY)
def test_columns_follow_the_order_of_the_rows(right):
    design, table = learnt(right)
    backwards = read(TRAIN.iloc[::-1], parse(f"y ~ {right}").variables)
    for forward, backward in zip(design.columns(table), design.columns(backwards), strict=True):
        np.testing.assert_allclose(forward[::-1], backward, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("right", "value"),
    [("sin(2*pi*t)", np.sin(2 * np.pi * TRAIN.t)), ("cos(t/7)", np.cos(TRAIN.t / 7)), ("I(t^2)", TRAIN.t**2),
     ("I(2^-t)", 2.0**-TRAIN.t), ("I(-t^2)", -(TRAIN.t**2)), ("I(k^2^0)", TRAIN.k)],
)  # fmt: skip
def test_expressions_that_formulaic_does_not_have(right, value):
    np.testing.assert_allclose(learnt(right)[0].columns(learnt(right)[1])[1], value)


def test_poly_is_rs():
    # R 4.2.2: options(digits = 10); poly(c(1, 2, 4, 7), 2)
    table = read({"t": [1, 2, 4, 7]}, ["t"])
    _, first, second = Design.learn(((), ("poly(t, 2)",)), table).columns(table)
    np.testing.assert_allclose(first, [-0.5455447256, -0.3273268354, 0.1091089451, 0.7637626158], atol=1e-10)
    np.testing.assert_allclose(second, [0.5128225941, -0.1709408647, -0.7407437470, 0.3988620176], atol=1e-10)


def test_columns_are_shared_not_copied():
    table = read(pl.DataFrame({"x": [1.0, 2, 4], "z": [3.0, 1, 2], "a": ["p", "q", "p"]}), ["x", "z", "a"])
    fixed = Design.learn(((), ("x",), ("a",), ("x", "z")), table)
    random = Design.learn(((), ("x",), ("x", "z"), ("I(x)",)), table)
    shared: dict = {}
    one, x, _, product = fixed.columns(table, shared)
    again, x2, product2, inside = random.columns(table, shared)
    assert x is x2 is inside is table.columns["x"]
    assert one is again and product is product2
    np.testing.assert_array_equal(one, np.ones(3))


@pytest.mark.parametrize(
    ("small", "large", "nested"),
    [
        ("x", "x + t", True),
        ("x + t", "x", False),
        ("x:a", "x + x:a", True),
        ("x + x:a", "x:a", True),
        ("a:b", "a*b", True),
        ("a*b", "a:b", True),
        ("a + b", "a:b", True),
        ("a", "0 + a", True),
        ("0 + a", "a", True),
        ("1", "0 + a", True),
        ("1", "0 + x", False),
        ("x*a", "x + a", False),
        ("log(x)", "x", False),
        ("x", "x:a", True),
        ("a + x", "a + a:x", True),
        ("a", "a:x", False),
    ],
)
def test_atoms_tell_whether_one_column_space_lies_in_another(small, large, nested):
    assert (learnt(small)[0].atoms <= learnt(large)[0].atoms) == nested
    X, Z = (np.column_stack(design.columns(table)) for design, table in (learnt(small), learnt(large)))
    assert (np.linalg.matrix_rank(np.column_stack([X, Z])) == np.linalg.matrix_rank(Z)) == nested


def test_an_atom_names_numbers_and_categories():
    assert learnt("0 + x:a")[0].atoms == {
        (frozenset({"x"}), frozenset()),
        (frozenset({"x"}), frozenset({"a"})),
    }


def test_a_boolean_and_given_levels():
    table = read(
        {"f": [True, False, True], "dose": [10, 0, 5]}, ["f", "dose"], categories={"dose": [5, 0, 10]}
    )
    design = Design.learn(((), ("f",), ("dose",)), table)
    assert design.names == ("Intercept", "f[T.True]", "dose[T.0]", "dose[T.10]")
    np.testing.assert_array_equal(
        np.column_stack(design.columns(table)), [[1, 1, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]]
    )


def test_a_new_row_with_one_level_keeps_the_reference_of_the_fit():
    design, _ = learnt("a")
    table = read({"a": ["r"]}, ["a"])
    assert [column.item() for column in design.columns(table)] == [1, 0, 1]


@pytest.mark.parametrize("right", ["a", "C(a)", "x:a"])
def test_an_unseen_level_is_refused(right):
    design, _ = learnt(right)
    with pytest.raises(DataError, match=r"'w' of '(C\()?a\)?' did not occur .* known are 'p', 'q', 'r'"):
        design.columns(read({"a": ["p", "w"], "x": [1.0, 2.0]}, design.variables))


def test_an_unseen_number_of_a_category_is_refused():
    design, _ = learnt("C(k)")
    with pytest.raises(DataError, match="'9' of 'C.k.'"):
        design.columns(read({"k": [1, 9]}, ["k"]))


def test_a_column_that_changes_its_kind_is_refused():
    with pytest.raises(DataError, match="'x' was numbers in the rows of the fit and is a category"):
        learnt("x")[0].columns(read({"x": ["1", "2"]}, ["x"]))
    with pytest.raises(DataError, match="'a' was a category in the rows of the fit and is numbers"):
        learnt("a")[0].columns(read({"a": [1, 2]}, ["a"]))


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("log(t)", "log(t) is infinite or undefined in 9 rows, first in row 1 "),
        ("log(y)", "log(y) is infinite or undefined in"),
        ("I(1/t)", "I(1 / t) is infinite"),
        ("scale(log(t))", "log(t) is infinite"),
        ("I(9**9**9*x)", "infinite or undefined in 60 rows"),
        ("log(a)", "computes with 'a', which is a category"),
        ("poly(t, 7)", "needs more than 7 distinct values, but the column has 7"),
        ("scale(one)", "the column is constant"),
        ("same", "'same' has one level only ('s')"),
        ("x:same", "one level only"),
        ("C(one)", "one level only"),
        ("cr(t, df=9)", "cr(t, df=9) needs 9 distinct values, but the column has 7"),
        ("bs(x, df=5, upper_bound=1)", "is defined from"),
        ("bs(one, df=5)", "two different bounds"),
    ],
)
def test_data_that_do_not_suit_a_term_are_refused(right, said):
    with pytest.raises(DataError) as refused:
        learnt(right, TRAIN.assign(one=1.0, same="s"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "right",
    [
        "poly(x, 0)",
        "poly(x, 1.5)",
        "poly(x, 1e9)",
        "poly(x, True)",
        "poly(x, 2, raw=1)",
        "bs(x, df=2)",
        "bs(x, lower_bound=1e999)",
        "cr(x)",
        "cr(x, df=1)",
    ],
)
def test_settings_out_of_range_are_refused(right):
    with pytest.raises(FormulaError):
        learnt(right)


def test_bs_outside_the_rows_of_the_fit_is_refused():
    with pytest.raises(DataError, match="defined from 0 to 6, but row 2 of the rows used has 9; widen it"):
        learnt("bs(t, df=4)")[0].columns(read({"t": [1, 9]}, ["t"]))


def test_a_missing_column_is_named_with_the_nearest_one():
    table = read(TRAIN, ["x", "a"])
    with pytest.raises(DataError, match="no column 'xx'; did you mean 'x'"):
        Design.learn(((), ("xx",)), table)
    with pytest.raises(DataError, match=r"no column 'u' that log\(u\) uses"):
        evaluate("log(u)", table.columns)


def test_the_response():
    table = read(TRAIN, ["x", "a"])
    np.testing.assert_allclose(response("log(x)", table.columns), np.log(TRAIN.x))
    assert isinstance(evaluate("a", table.columns), Factor)
    with pytest.raises(DataError, match="'a' must be a number, but it is a category"):
        response("a", table.columns)


def test_a_column_whose_name_looks_like_a_call():
    table = read({"log(x)": [5.0, 6.0], "x": [1.0, 2.0]}, ["log(x)", "x"])
    design = Design.learn(parse("y ~ `log(x)` + log(x)").fixed, table)
    one, plain, call = design.columns(table)
    np.testing.assert_array_equal(plain, [5, 6])
    np.testing.assert_allclose(call, np.log([1, 2]))
