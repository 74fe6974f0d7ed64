"""What formulas of R hold and is read as R reads it, or pointed to the argument that does it."""

import numpy as np
import polars as pl
import pytest

import lmmcore as lmm
from lmmcore.formula.parse import parse
from lmmcore.formula.transforms import BASES

X = np.array([0.3, 1.2, 2.5, 2.7, 3.9, 5.1, 6.6, 7.4, 8.8, 9.9])
# R 4.2.2, splines: b <- ns(X, df); b[c(6, 10), ] and predict(b, c(-1, 12)).
NS = {
    1: ([[0.4008918629], [0.8017837257]], [[-0.1085748795], [0.9771739157]]),
    3: (
        [[0.3679642228, 0.4515823681, -0.2627700341], [-0.1373569199, 0.4370447451, 0.7003121748]],
        [[0.1084264044, -0.3449931050, 0.2365667006], [-0.7819979188, 0.5790842872, 1.2029136316]],
    ),
    4: (
        [
            [0.6518965178, 0.1950348397, 0.1330083467, -0.0868432416],
            [0, -0.1428571429, 0.4285714286, 0.7142857143],
        ],
        [[0, 0.15258258, -0.4577477401, 0.30516516], [0, -0.9761904762, 0.5952380952, 1.380952381]],
    ),
}


@pytest.mark.parametrize("df", NS)
def test_ns_is_that_of_r(df):
    basis = BASES["ns"]
    state = basis.learn(X, {"df": df}, "ns(x)")
    inside = np.column_stack(list(basis.apply(X, state, "ns(x)").values()))
    beyond = np.column_stack(list(basis.apply(np.array([-1.0, 12.0]), state, "ns(x)").values()))
    assert inside[[5, 9]] == pytest.approx(np.array(NS[df][0]), abs=1e-9)
    assert beyond == pytest.approx(np.array(NS[df][1]), abs=1e-9)


def test_ns_in_a_fit_keeps_its_knots():
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({"t": rng.uniform(0, 5, 90), "id": np.repeat(np.arange(15), 6)})
    frame = frame.with_columns(y=pl.col("t").sin() + pl.Series(rng.normal(0, 0.2, 90)))
    fit = lmm.fit("y ~ ns(t, df=3) + (1 | id)", frame)
    assert fit.terms == ("Intercept", "ns(t, df=3)[1]", "ns(t, df=3)[2]", "ns(t, df=3)[3]")
    some = fit.predict(frame.head(5))["prediction"].to_list()
    assert some == pytest.approx(fit.predict(frame)["prediction"].head(5).to_list())
    with pytest.raises(lmm.DataError, match="needs 4 distinct values"):
        lmm.fit("y ~ ns(t, 3)", frame.with_columns(t=pl.col("id") % 2))


def test_intercept_is_left_out_by_plus_minus_one():
    assert parse("y ~ x + -1").fixed == parse("y ~ x - 1").fixed == (("x",),)
    assert parse("y ~ -1 + x + (1 | id)").fixed == (("x",),)
    with pytest.raises(lmm.FormulaError, match="A term is missing before '-'"):
        parse("y ~ x + - z")


def test_settings_as_r_writes_them():
    (raw,) = parse("y ~ poly(x, 2, raw = TRUE)").fixed[1]
    assert raw == "poly(x, 2, raw=True)"


@pytest.mark.parametrize(
    "formula, pointed",
    [
        ("y ~ relevel(arm, ref) + (1 | id)", "categories="),
        ("y ~ x + weights(w)", "weights='w'"),
    ],
)
def test_what_an_argument_does(formula, pointed):
    with pytest.raises(lmm.FormulaError, match=pointed):
        parse(formula)


def with_exposure():
    """60 rows of 12 subjects, y in thousandths so that R reads the same numbers."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(12), 5)
    x, z = np.tile(np.arange(5.0), 12), np.round(rng.normal(10, 3, 60), 3)
    y = np.round(1 + 0.5 * x + z + rng.normal(0, 2, 12)[person] + rng.normal(0, 1, 60), 3)
    return pl.DataFrame({"y": y, "x": x, "z": z, "id": person})


def test_offset_is_that_of_lme4():
    """R 4.2.2, lme4 1.1-31: lmer(y ~ x + offset(z) + (1 | id)): logLik, fixef, predict(m)[1]."""
    frame = with_exposure()
    fit = lmm.fit("y ~ x + offset(z) + (1 | id)", frame)
    named = lmm.fit("y ~ x + (1 | id)", frame, offset="z")
    assert fit.loglik == named.loglik == pytest.approx(-106.84004582, abs=1e-6)
    assert list(fit.beta.values()) == pytest.approx([0.37388333, 0.38935], abs=1e-5)
    first = fit.predict(frame, level="subject")["prediction"][0]
    assert first == pytest.approx(14.35748869, abs=1e-4)
    assert parse("y ~ (x + offset(`z`)) + (1 | id)").offset == "z"
    assert parse("y ~ offset + x").fixed == ((), ("offset",), ("x",))


@pytest.mark.parametrize(
    "formula, sentence",
    [
        ("y ~ x + offset(log(z)) + (1 | id)", "takes one column: compute the expression as a column"),
        ("y ~ x + offset(2 * z)", "takes one column"),
        ("y ~ x + offset()", "takes one column"),
        ("y ~ x + offset(z) + offset(w)", "has 2 offsets, but can have one"),
        ("y ~ x - offset(z)", "can be added, but not removed"),
        ("y ~ x * offset(z)", "can only be added, not combined with"),
        ("y ~ x + (x + offset(z) | id)", "is no random effect"),
        ("offset(y) ~ x", "one column added to the others"),
        ("y ~ log(offset(z))", "one column added to the others"),
    ],
)
def test_other_offsets(formula, sentence):
    with pytest.raises(lmm.FormulaError, match=sentence):
        parse(formula)


def test_offset_twice_or_where_there_is_none():
    frame = with_exposure()
    with pytest.raises(lmm.FormulaError, match="has one offset, so keep one of them"):
        lmm.fit("y ~ x + offset(z) + (1 | id)", frame, offset="z")
    with pytest.raises(lmm.FormulaError, match="fit_each takes no offset"):
        lmm.fit_each("y ~ x + offset(z)", frame, by="id")
    with pytest.raises(lmm.FormulaError, match="gls takes no offset"):
        lmm.gls("y ~ x + offset(z)", frame, np.eye(60))
