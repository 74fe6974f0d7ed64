"""Formula text -> terms, and what is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmmcore.errors import FormulaError
from lmmcore.formula.parse import parse

NAMES = ("y", "x", "z", "a", "b", "g", "log", "poly", "pi", "t.1")


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y ~ x", [(), ("x",)]),
        ("y~x+z", [(), ("x",), ("z",)]),
        ("y ~ 1", [()]),
        ("y ~ 0", []),
        ("y ~ 0 + x", [("x",)]),
        ("y ~ x - 1", [("x",)]),
        ("y ~ -1 + x", [("x",)]),
        ("y ~ x - 1 + 1", [(), ("x",)]),
        ("y ~ x - 0", [(), ("x",)]),
        ("y ~ + x", [(), ("x",)]),
        ("y ~ a:b + b:a + a", [(), ("a",), ("a", "b")]),
        ("y ~ a*b - a", [(), ("b",), ("a", "b")]),
        ("y ~ a*b*x", [(), ("a",), ("b",), ("x",), ("a", "b"), ("a", "x"), ("b", "x"), ("a", "b", "x")]),
        ("y ~ a:b + x", [(), ("x",), ("a", "b")]),
        ("y ~ a/b", [(), ("a",), ("a", "b")]),
        ("y ~ a/b/x", [(), ("a",), ("a", "b"), ("a", "b", "x")]),
        ("y ~ (a + b)/x", [(), ("a",), ("b",), ("a", "b", "x")]),
        ("y ~ a/(b + x)", [(), ("a",), ("a", "b"), ("a", "x")]),
        ("y ~ (a + b + x)^2", [(), ("a",), ("b",), ("x",), ("a", "b"), ("a", "x"), ("b", "x")]),
        ("y ~ (a + b)**3 - b", [(), ("a",), ("a", "b")]),
        ("y ~ a*b^2", [(), ("a",), ("b",), ("a", "b")]),
        ("y ~ a:b*x", [(), ("x",), ("a", "b"), ("a", "b", "x")]),
        ("y ~ 1:x", [(), ("x",)]),
        ("y ~ (0 + x) + z", [("x",), ("z",)]),
        ("y ~ log.dose + größe", [(), ("log.dose",), ("größe",)]),
        ("y ~ `body weight` + `x`", [(), ("`body weight`",), ("x",)]),
        ("y ~ poly( t,2 ) + I(x^2)+log( x+1 )", [(), ("poly(t, 2)",), ("I(x ** 2)",), ("log(x + 1)",)]),
        ("y ~ log(`body weight`)", [(), ("log(`body weight`)",)]),
        ("y ~ sin(2*pi*t)", [(), ("sin(2 * pi * t)",)]),
        ("y ~ scale( log(x) )\n + x", [(), ("scale(log(x))",), ("x",)]),
    ],
)
def test_fixed_terms(text, fixed):
    assert list(parse(text).fixed) == fixed


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("y ~ x + (1 | g)", [([()], ("g",), True, "(1 | g)")]),
        ("y ~ (x|g)", [([(), ("x",)], ("g",), True, "(x | g)")]),
        ("y ~ (x || g)", [([(), ("x",)], ("g",), False, "(x || g)")]),
        ("y ~ (0 + x | g)", [([("x",)], ("g",), True, "(0 + x | g)")]),
        ("y ~ (x*z - 1 | g)", [([("x",), ("z",), ("x", "z")], ("g",), True, "(x*z - 1 | g)")]),
        ("y ~ (1 | a/b)", [([()], ("a",), True, "(1 | a)"), ([()], ("a", "b"), True, "(1 | a:b)")]),
        (
            "y ~ (1 | a/b/c)",
            [
                ([()], ("a",), True, "(1 | a)"),
                ([()], ("a", "b"), True, "(1 | a:b)"),
                ([()], ("a", "b", "c"), True, "(1 | a:b:c)"),
            ],
        ),
        ("y ~ (1 | a:b)", [([()], ("a", "b"), True, "(1 | a:b)")]),
        (
            "y ~ ((1|a) + x + (1|`the site`))",
            [([()], ("a",), True, "(1 | a)"), ([()], ("the site",), True, "(1 | `the site`)")],
        ),
    ],
)
def test_random_terms(text, random):
    found = [
        (list(term.terms), term.group, term.covariance != "diagonal", term.text)
        for term in parse(text).random
    ]
    assert found == random


def test_fixed_part_next_to_random_terms():
    assert parse("y ~ (1 | g) + x + (0 + z | h)").fixed == ((), ("x",))
    assert parse("y ~ 0 + (1 | g)").fixed == ()
    assert parse("y ~ (0 + x | g)").fixed == ((),)


def test_variables_and_groups():
    formula = parse("log(y + k) ~ x:arm + sin(2 * pi * t) + (z | site/id) + C(`my col`)")
    assert formula.variables == ("y", "k", "t", "my col", "x", "arm", "z")
    assert formula.groups == ("site", "id")
    assert formula.response == "log(y + k)"
    assert parse("y ~ pi").variables == ("y", "pi")
    assert parse("y ~ I(`pi` * x)").variables == ("y", "pi", "x")


def test_the_same_text_is_parsed_once():
    assert parse("y ~ x") is parse("y ~ x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y + x", "no '~'"),
        ("y ~ x ~ z", "2 '~'"),
        ("", "no '~'"),
        ("~ x", "no response"),
        ("y ~", "right side of the formula is empty"),
        ("y ~ x +", "ends where a term is expected, at character 7, after 'y ~ x +'"),
        ("y ~ x + + z", "term is missing before '+' at character 7"),
        ("y ~ * x", "'*' is not expected"),
        ("y ~ (x + z", "parenthesis opened at character 5"),
        ("y ~ x)", "no '(' opens"),
        ("y ~ ()", "term is missing before ')'"),
        ("y ~ x z", "'z' is not expected"),
        ("y ~ (1 | )", "needs a grouping column after '|'"),
        ("y ~ (| g)", "needs effects before '|'"),
        ("y ~ 1 | g", "needs parentheses"),
        ("y ~ (0 | g)", "this one has none"),
        ("y ~ (1 | g + h)", "one random term for each grouping factor"),
        ("y ~ (1 | g | h)", "one random term for each grouping factor"),
        ("y ~ (1 | log(g))", "must be a column, not a function"),
        ("y ~ (1 | 3)", "needs a grouping column"),
        ("y ~ ((1 | g) | h)", "inside another"),
        ("y ~ x * (1 | g)", "can only be added"),
        ("y ~ x:(1 | g)", "can only be added"),
        ("y ~ (1 | g)^2", "can only be added"),
        ("y ~ x - (1 | g)", "not removed"),
        ("y ~ .", "'.' at character 5 of the formula (all other columns) is not supported"),
        ("y ~ . - x", "not supported"),
        ("y ~ 2 * x", "The number 2 is not a term"),
        ("y ~ 0:x", "0 is none"),
        ("y ~ x^2.5", "needs a whole number"),
        ("y ~ x^z", "needs a whole number"),
        ("y ~ x^0", "needs a whole number"),
        ("y ~ lgo(x)", "did you mean 'log'?"),
        ("y ~ factor(x)", "did you mean 'C'?"),
        ("y ~ tan(x)", "formulas know log, log1p, exp, sqrt, sin, cos, I, poly, bs, cr, scale, center, C"),
        ("y ~ log(x", "is not closed"),
        ("y ~ log()", "no column"),
        ("y ~ log(2)", "uses no column"),
        ("y ~ log(x, 2)", "wrong number of arguments; log is written log(x)"),
        ("y ~ log(x, base=2)", "no setting 'base'"),
        ("y ~ poly(x, 2, degree=3)", "wrong number of arguments"),
        ("y ~ poly(x, z)", "must be numbers"),
        ("y ~ log(poly(x, 2))", "cannot stand inside a function"),
        ("y ~ C(x + 1)", "C in 'C(x + 1)' takes one column"),
        ("y ~ log(x +)", "is not an expression"),
        ("y ~ log(x z)", "is not an expression"),
        ("y / 2 ~ x", "put arithmetic into I()"),
        ("1 ~ x", "response must be a column"),
        ("poly(y, 2) ~ x", "response must be one number a row"),
        ("y ~ `x", "no second backtick"),
        ("y ~ x & z", "'&' at character 7 of the formula has no meaning"),
        ("y ~ x + 'z'", "a column's name goes in backticks"),
        ("y ~ x$z", "'$'"),
    ],
)
def test_refusals_say_what_and_where(text, said):
    with pytest.raises(FormulaError) as refused:
        parse(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "payload",
    [
        "__import__('os').system('x')",
        "().__class__",
        "open('f')",
        "open(f)",
        "eval(x)",
        "I(x.__class__)",
        "x.__class__",
        "I([].append(1))",
        "I(x[0])",
        "I(lambda: x)",
        "I((lambda x)(x))",
        "I(x if x else x)",
        "I(x or z)",
        "I(not x)",
        "I(x, z)",
        "I((x, z))",
        "I(*x)",
        "I(**x)",
        "I(x := z)",
        "I(x == z)",
        "I(x < z)",
        "I(~x)",
        "I(x | z)",
        "I(x % z)",
        "I(x // z)",
        "I(x @ z)",
        "I({x})",
        "I(f'{x}')",
        "I(log)(x)",
        "I(`log`(x))",
        "I(x(1))",
        "I(1(x))",
        "I(True + x)",
        "I(x\n;z)",
        "I(x\\z)",
        "I(x)\x00",
    ],
)
def test_code_is_refused(payload):
    with pytest.raises(FormulaError):
        parse(f"y ~ {payload}")


@pytest.mark.parametrize(
    "text",
    [
        "y ~ " + "(" * 5000 + "x" + ")" * 5000,
        "y ~ " + " + ".join(["x"] * 5000),
        "y ~ I(" + "-" * 9000 + "x)",
        "y ~ I(" + "+".join(["x"] * 4000) + ")",
        "y ~ I(" + "**".join(["x"] * 3000) + ")",
        "y ~ " + "*".join(f"x{i}" for i in range(30)),
        "y ~ " + ":".join(f"x{i}" for i in range(30)),
        "y ~ (" + "+".join(f"x{i}" for i in range(200)) + ")^50",
        "y ~ (" + "+".join(f"x{i}" for i in range(200)) + "):(" + "+".join(f"z{i}" for i in range(200)) + ")",
        "y ~ I(x" + ")" * 4000,
    ],
)
def test_hostile_sizes_are_refused(text):
    with pytest.raises(FormulaError):
        parse(text)


def test_high_powers_stop_at_the_full_interaction():
    assert len(parse("y ~ (a + b + c + d)^50").fixed) == 16
    assert parse("y ~ (a + b)^99999999999999999999").fixed == parse("y ~ a * b").fixed


def test_text_is_needed():
    with pytest.raises(FormulaError, match="must be text"):
        parse(["y ~ x"])  # type: ignore[arg-type]


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    *NAMES,
                    *"~+-*/:^()|,=.`0123456789 ",
                    "||",
                    "**",
                    "y ~ ",
                    "(1 | g)",
                    "log(x)",
                    "poly(x, 2)",
                    "pi",
                ]
            ),
            max_size=25,
        ).map("".join),
        st.lists(st.sampled_from([*NAMES, *"+-*/^(),=0123 "]), max_size=20).map(
            lambda p: f"y ~ I({''.join(p)})"
        ),
    )
)
@example("y ~ I(9**9**9**9*x)")
@example("y ~ poly(x, 1e999)")
@example("y ~ I(1" + "0" * 5000 + "*x)")
def test_any_text_parses_or_is_refused_in_a_sentence(text):
    try:
        formula = parse(text)
    except FormulaError as refused:
        assert len(str(refused)) > 20
        return
    again = parse(text)
    assert again == formula
    assert all(isinstance(name, str) and name for name in (*formula.variables, *formula.groups))
