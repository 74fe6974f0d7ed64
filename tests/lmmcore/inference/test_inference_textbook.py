"""Satterthwaite's and Kenward & Roger's tests where an exact test is known: they are it, to rounding.

In balanced layouts (and with a saturated covariance) REML's variances are mean squares, so that t, F, degrees
of freedom and p are those of the analysis of variance, of Student, Welch and Hotelling. All expected values
are computed here from sums of squares.
"""

import itertools

import numpy as np
import polars as pl
import pytest
from scipy import stats

import lmmcore as lmm

# The optimum is found to some 1e-10 of a variance; a small p moves ten times as much.
EXACT = 1e-8
BOTH = pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])

# Student (1908), Biometrika 6, p. 20: hours of sleep gained by ten patients with each of two drugs.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def exactly(value):
    return pytest.approx(value, rel=EXACT, abs=1e-12)


def long(wide, **subject_columns):
    """wide : (N, T) -> frame with id, visit 1..T, y and a column of (N,) values for each name given."""
    n, visits = wide.shape
    columns = {
        "id": np.repeat([f"s{i:02d}" for i in range(n)], visits),
        "visit": np.tile(np.arange(1, visits + 1), n),
        "y": wide.ravel(),
    }
    return pl.DataFrame(columns | {k: np.repeat(v, visits) for k, v in subject_columns.items()})


def t_of(fit, term, df):
    """Statistic, df and p of one coefficient."""
    row = fit.tidy(df=df).filter(pl.col("term") == term).row(0, named=True)
    return row["statistic"], row["df"], row["p_value"]


def f_of(fit, L, df):
    """Statistic, both df and p of L beta = 0."""
    row = fit.contrast(np.asarray(L, dtype=float), df=df).row(0, named=True)
    return row["statistic"], row["num_df"], row["den_df"], row["p_value"]


def f_expected(mean_square, df, error_mean_square, error_df):
    f = mean_square / error_mean_square
    return f, df, error_df, stats.f.sf(f, df, error_df)


# ---- paired t test ----

PAIRED = {
    "random intercept": ("y ~ drug + (1 | id)", None),
    "compound symmetry": ("y ~ drug", lmm.CompoundSymmetry(subject="id")),
    "unstructured": ("y ~ drug", lmm.Unstructured("visit", subject="id")),
}


def paired(first, second):
    frame = long(np.column_stack([first, second]))
    return frame.with_columns(drug=pl.col("visit").cast(pl.String))


@BOTH
@pytest.mark.parametrize("model", PAIRED)
def test_paired_t_test(model, df):
    formula, residual = PAIRED[model]
    fit = lmm.fit(formula, paired(FIRST, SECOND), residual=residual)
    expected = stats.ttest_rel(SECOND, FIRST)
    assert expected.statistic == pytest.approx(4.0621, abs=1e-4)  # as in every textbook
    assert t_of(fit, "drug[T.2]", df) == exactly((expected.statistic, 9, expected.pvalue))


@BOTH
@pytest.mark.parametrize("model", ["compound symmetry", "unstructured"])
def test_paired_t_test_of_negatively_correlated_pairs(model, df):
    """Which a random intercept cannot have; a residual correlation can."""
    formula, residual = PAIRED[model]
    second = sorted(SECOND, reverse=True)
    first = sorted(FIRST)
    assert np.corrcoef(first, second)[0, 1] < -0.5
    fit = lmm.fit(formula, paired(first, second), residual=residual)
    expected = stats.ttest_rel(second, first)
    assert t_of(fit, "drug[T.2]", df) == exactly((expected.statistic, 9, expected.pvalue))


# ---- unequal variances: Welch ----


@BOTH
def test_welch(df):
    """Two samples with a variance each (Welch 1938): Satterthwaite's own problem, unbalanced."""
    rng = np.random.default_rng(11)
    a, b = rng.normal(5, 1, 6), rng.normal(7, 3, 9)
    arm = ["a"] * len(a) + ["b"] * len(b)
    frame = pl.DataFrame({"y": np.concatenate([a, b]), "arm": arm})
    fit = lmm.fit("y ~ arm", frame, variance=lmm.ByGroup("arm"))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert t_of(fit, "arm[T.b]", df) == exactly((expected.statistic, expected.df, expected.pvalue))


# ---- random one-way and nested layouts ----


@BOTH
@pytest.mark.parametrize(
    "file, response, outer, formula",
    [
        ("rail.csv", "travel", "Rail", "travel ~ 1 + (1 | Rail)"),
        ("dyestuff.csv", "Yield", "Batch", "Yield ~ 1 + (1 | Batch)"),
        ("pastes.csv", "strength", "batch", "strength ~ 1 + (1 | batch/cask)"),
    ],
)
def test_mean_of_a_balanced_random_layout(root, file, response, outer, formula, df):
    """t of the mean has the outermost factor's levels less one as df, whatever is nested in it."""
    frame = pl.read_csv(root / "tests/reference/data" / file)
    means = frame.group_by(outer).agg(pl.col(response).mean())[response].to_numpy()
    t = means.mean() / (means.std(ddof=1) / np.sqrt(len(means)))
    found = t_of(lmm.fit(formula, frame), "Intercept", df)
    assert found == exactly((t, len(means) - 1, 2 * stats.t.sf(t, len(means) - 1)))


@pytest.mark.parametrize("batches, rows", [(6, 5), (9, 2)])
def test_a_variance_estimated_as_zero_counts_in_kenward_and_roger(batches, rows):
    """The exact test of a mean of batches has batches - 1 df whatever the variance between them is.

    Where that is estimated as 0, Kenward and Roger's df stay there; Satterthwaite's, which takes the variance
    for known to be 0, jumps to rows - 1, in lmerTest as well.
    """
    rng = np.random.default_rng(5)
    wide = rng.normal(size=(batches, rows))
    wide -= 0.9 * wide.mean(axis=1, keepdims=True)  # batches differ less than their rows let expect
    fit = lmm.fit("y ~ 1 + (1 | id)", long(wide + 3))
    assert fit.certificate.singular
    assert t_of(fit, "Intercept", "kenward-roger")[1] == pytest.approx(batches - 1, rel=1e-9)
    assert t_of(fit, "Intercept", "satterthwaite")[1] == pytest.approx(batches * rows - 1, rel=1e-9)


# ---- few subjects ----


@BOTH
@pytest.mark.parametrize(
    "sizes", [(2, 1, 1), (2, 2, 1), (2, 1, 1, 1, 1), (2, 2, 2), (3, 2, 2), (2, 2, 2, 2), (4, 2, 2)]
)
def test_groups_of_few_subjects(sizes, df):
    """Groups compared between subjects with three visits each, on 1 to 5 denominator df.

    At 4 and at 2 the F distribution loses its variance and its mean, by which Kenward and Roger match theirs.
    """
    rng = np.random.default_rng(17)
    n, groups = sum(sizes), len(sizes)
    arm = np.repeat(np.arange(groups), sizes)
    wide = rng.normal(size=(n, 1)) * 3 + rng.normal(size=(n, 3)) + arm[:, None]
    fit = lmm.fit("y ~ arm + (1 | id)", long(wide, arm=np.array(list("abcdefgh"))[arm]))
    assert not fit.certificate.singular
    means = wide.mean(axis=1)
    centres = np.array([means[arm == g].mean() for g in range(groups)])[arm]
    error = ((means - centres) ** 2).sum() / (n - groups)
    expected = f_expected(((centres - means.mean()) ** 2).sum() / (groups - 1), groups - 1, error, n - groups)
    assert f_of(fit, np.eye(groups)[1:], df) == exactly(expected)


# ---- split plot ----


def effect_squares(cells, keep):
    """Sum of squares of one effect in a balanced layout, by inclusion and exclusion of the marginal means.

    cells : an array, an axis for each factor; keep : axes of the effect.
    """
    axes = range(cells.ndim)
    effect = np.zeros_like(cells)
    for size in range(len(keep) + 1):
        for kept in itertools.combinations(keep, size):
            over = tuple(axis for axis in axes if axis not in kept)
            effect = effect + (-1) ** (len(keep) - size) * cells.mean(axis=over, keepdims=True)
    return (effect**2).sum()


def cell_rows(fit, factors):
    """(cells, p): the row of the fixed effects of every cell; factors : {name: levels}, reference first."""
    rows = []
    for cell in itertools.product(*factors.values()):
        codes = {f"{name}[T.{level}]" for name, level in zip(factors, cell, strict=True)}
        rows.append([float(term == "Intercept" or set(term.split(":")) <= codes) for term in fit.terms])
    return np.array(rows)


def sums_to_zero(k):
    return np.eye(k)[1:] - 1 / k


def factor_hypotheses(fit, factors):
    """L of each main effect and of the interaction of two factors in terms of equally weighted cell means."""
    (a, b), C = [len(levels) for levels in factors.values()], cell_rows(fit, factors)
    mean = [np.full((1, a), 1 / a), np.full((1, b), 1 / b)]
    return (
        np.kron(sums_to_zero(a), mean[1]) @ C,
        np.kron(mean[0], sums_to_zero(b)) @ C,
        np.kron(sums_to_zero(a), sums_to_zero(b)) @ C,
    )


@BOTH
def test_split_plot(root, df):
    """Oats (Yates 1935): aov(yield ~ Variety * nitro + Error(Block / Variety)), its two error strata."""
    frame = pl.read_csv(root / "tests/reference/data/oats.csv").sort("Block", "Variety", "nitro")
    y = frame["yield"].to_numpy().astype(float).reshape(6, 3, 4)  # block, variety, nitrogen
    factors = {"Variety": sorted(frame["Variety"].unique()), "nitro": ["0", "0.2", "0.4", "0.6"]}
    text = frame.with_columns(nitro=pl.col("nitro").map_elements(lambda x: f"{x:g}", return_dtype=pl.String))
    fit = lmm.fit("yield ~ Variety * nitro + (1 | Block/Variety)", text)
    whole = effect_squares(y, (0, 1)) / 10
    sub = (effect_squares(y, (0, 2)) + effect_squares(y, (0, 1, 2))) / 45
    expected = (
        f_expected(effect_squares(y, (1,)) / 2, 2, whole, 10),
        f_expected(effect_squares(y, (2,)) / 3, 3, sub, 45),
        f_expected(effect_squares(y, (1, 2)) / 6, 6, sub, 45),
    )
    assert expected[0][0] == pytest.approx(1.4853, abs=1e-4)  # as R's aov() prints them
    assert expected[1][0] == pytest.approx(37.6856, abs=1e-4)
    assert expected[2][0] == pytest.approx(0.3028, abs=1e-4)
    for L, row in zip(factor_hypotheses(fit, factors), expected, strict=True):
        assert f_of(fit, L, df) == exactly(row)


# ---- repeated measures ----


def growth(seed, groups=3, members=6, visits=4):
    """(groups, members, visits) of a random intercept and independent noise."""
    rng = np.random.default_rng(seed)
    level = rng.normal(scale=2, size=(groups, members, 1))
    trend = np.arange(visits) * np.arange(1, groups + 1)[:, None, None] / 4
    return 20 + level + trend + rng.normal(size=(groups, members, visits))


REPEATED = {
    "random intercept": ("y ~ arm * week + (1 | id)", None),
    "compound symmetry": ("y ~ arm * week", lmm.CompoundSymmetry(subject="id")),
}


@BOTH
@pytest.mark.parametrize("model", REPEATED)
def test_repeated_measures(model, df):
    """Groups by visits, the error of the groups between subjects and that of the visits within."""
    y = growth(3)
    groups, members, visits = y.shape
    arm = np.repeat(list("abc"), members)
    frame = long(y.reshape(-1, visits), arm=arm).with_columns(week=pl.col("visit").cast(pl.String))
    formula, residual = REPEATED[model]
    fit = lmm.fit(formula, frame, residual=residual)
    between_df, within_df = groups * (members - 1), groups * (members - 1) * (visits - 1)
    between = visits * ((y.mean(axis=2) - y.mean(axis=(1, 2))[:, None]) ** 2).sum() / between_df
    own = y - y.mean(axis=2, keepdims=True) - y.mean(axis=1, keepdims=True)
    within = ((own + y.mean(axis=(1, 2), keepdims=True)) ** 2).sum() / within_df
    means = y.mean(axis=1)
    expected = (
        f_expected(members * effect_squares(means, (0,)) / 2, 2, between, between_df),
        f_expected(members * effect_squares(means, (1,)) / 3, 3, within, within_df),
        f_expected(members * effect_squares(means, (0, 1)) / 6, 6, within, within_df),
    )
    factors = {"arm": ["a", "b", "c"], "week": ["1", "2", "3", "4"]}
    for L, row in zip(factor_hypotheses(fit, factors), expected, strict=True):
        assert f_of(fit, L, df) == exactly(row)


# ---- unstructured covariance: Hotelling ----


def correlated(seed, n, visits):
    """(n, visits) with unequal variances and correlations."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, visits)) @ rng.normal(size=(visits, visits)) + rng.normal(size=(n, 1))


def hotelling(difference, covariance, error_df):
    """F, both df, p; covariance : (v, v) of the difference, error_df : of the covariance matrix."""
    v = len(difference)
    f = difference @ np.linalg.solve(covariance, difference) * (error_df - v + 1) / (v * error_df)
    return f, v, error_df - v + 1, stats.f.sf(f, v, error_df - v + 1)


@pytest.mark.parametrize("n, visits", [(8, 2), (9, 3), (12, 4), (9, 5)])
def test_hotelling_one_sample(n, visits):
    """All visits' means at once: Kenward and Roger's F is that of Hotelling's T^2 (their section 3.2)."""
    wide = correlated(visits, n, visits) + 0.5
    frame = long(wide).with_columns(week=pl.col("visit").cast(pl.String))
    fit = lmm.fit("y ~ 0 + week", frame, residual=lmm.Unstructured("visit", subject="id"))
    expected = hotelling(wide.mean(axis=0), np.atleast_2d(np.cov(wide.T)) / n, n - 1)
    assert f_of(fit, np.eye(visits), "kenward-roger") == exactly(expected)


@pytest.mark.parametrize("sizes, visits", [((6, 7), 2), ((9, 5), 3), ((8, 8), 4)])
def test_hotelling_two_samples(sizes, visits):
    """The groups' difference at all visits, and the difference of their profiles (visits less one)."""
    wide = correlated(20 + visits, sum(sizes), visits)
    wide[: sizes[0]] += 0.7
    arm = np.repeat(["a", "b"], sizes)
    frame = long(wide, arm=arm).with_columns(week=pl.col("visit").cast(pl.String))
    fit = lmm.fit("y ~ 0 + week + week:arm", frame, residual=lmm.Unstructured("visit", subject="id"))
    a, b = wide[: sizes[0]], wide[sizes[0] :]
    error_df = sum(sizes) - 2
    pooled = ((sizes[0] - 1) * np.cov(a.T) + (sizes[1] - 1) * np.cov(b.T)) / error_df
    covariance, difference = pooled * (1 / sizes[0] + 1 / sizes[1]), b.mean(axis=0) - a.mean(axis=0)
    L = np.array([[float(term == f"week[{v}]:arm[T.b]") for term in fit.terms] for v in range(1, visits + 1)])
    assert L.sum() == visits
    assert f_of(fit, L, "kenward-roger") == exactly(hotelling(difference, covariance, error_df))
    D = np.diff(np.eye(visits), axis=0)
    expected = hotelling(D @ difference, D @ covariance @ D.T, error_df)
    assert f_of(fit, D @ L, "kenward-roger") == exactly(expected)


@BOTH
def test_each_visit_of_an_unstructured_covariance(df):
    """One visit's mean is a one-sample t test, the difference of two visits a paired one."""
    wide = correlated(31, 11, 4) + 0.4
    frame = long(wide).with_columns(week=pl.col("visit").cast(pl.String))
    fit = lmm.fit("y ~ 0 + week", frame, residual=lmm.Unstructured("visit", subject="id"))
    for visit in range(4):
        expected = stats.ttest_1samp(wide[:, visit], 0)
        assert t_of(fit, f"week[{visit + 1}]", df) == exactly((expected.statistic, 10, expected.pvalue))
    expected = stats.ttest_rel(wide[:, 3], wide[:, 1])
    row = fit.contrast({"week[4]": 1, "week[2]": -1}, df=df).row(0, named=True)
    assert (row["statistic"], row["df"], row["p_value"]) == exactly((expected.statistic, 10, expected.pvalue))


# ---- random slopes ----


@BOTH
@pytest.mark.parametrize(
    "formula", ["y ~ visit * arm + (visit | id)", "y ~ I(visit - 3) * arm + (I(visit - 3) | id)"]
)
def test_slopes_of_a_balanced_design(formula, df):
    """Every subject at the same times: the arms' slopes are compared by the two-sample t test of the
    subjects' least-squares slopes, their levels by that of the fitted values at 0."""
    rng = np.random.default_rng(8)
    n, time = (7, 10), np.arange(1, 6)
    b = rng.multivariate_normal([10, 1], [[4, 0.6], [0.6, 0.5]], sum(n))
    wide = b[:, :1] + b[:, 1:] * time + rng.normal(size=(sum(n), 5))
    wide[n[0] :] += 0.5 * time
    frame = long(wide, arm=np.repeat(["a", "b"], n))
    fit = lmm.fit(formula, frame)
    centre = 3 if "- 3" in formula else 0
    level_and_slope = np.linalg.lstsq(np.column_stack([np.ones(5), time - centre]), wide.T)[0]
    name = "I(visit - 3)" if centre else "visit"
    for values, term in zip(level_and_slope, ("arm[T.b]", f"{name}:arm[T.b]"), strict=True):
        expected = stats.ttest_ind(values[n[0] :], values[: n[0]])
        assert t_of(fit, term, df) == exactly((expected.statistic, sum(n) - 2, expected.pvalue))


def test_levels_and_slopes_at_once():
    """Both coefficients of a growth curve: Kenward and Roger's test is Hotelling's of the subjects' pairs,
    although the covariance of a pair is a random effect's and a residual's together."""
    rng = np.random.default_rng(12)
    time = np.arange(5)
    b = rng.multivariate_normal([0.8, 0.3], [[4, 0.6], [0.6, 0.5]], 14)
    wide = b[:, :1] + b[:, 1:] * time + rng.normal(size=(14, 5))
    fit = lmm.fit("y ~ visit + (visit | id)", long(wide))
    pairs = np.linalg.lstsq(np.column_stack([np.ones(5), time + 1]), wide.T)[0]
    expected = hotelling(pairs.mean(axis=1), np.cov(pairs) / 14, 13)
    assert f_of(fit, np.eye(2), "kenward-roger") == exactly(expected)
