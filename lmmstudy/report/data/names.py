"""The data files beside a page, in the folder reports/{dataset}, and their columns.

Every page has every file; one that nothing can be said of holds its heads alone. The Snakefile reads the
names, so that nothing heavy is imported here.
"""

RESULTS = "results.json"
"""All results in one object: audit, selection, candidates, and what the tables hold but for the rows."""

TABLES: dict[str, tuple[str, ...]] = {
    "rows": (
        *("subject", "group", "time", "response", "fitted", "population"),
        *("residual_pearson", "residual_normalized"),
    ),
    "attrition": ("time", "group", "subjects", "mean", "sd", "min", "max"),
    "fixed": (*("term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"),),
    "terms": ("term", "num_df", "den_df", "statistic", "p_value", "hypothesis"),
    "random": ("group", "term1", "term2", "covariance", "sd", "correlation"),
    "covariance": ("group", "term", "estimate", "low", "high", "method", "note"),
    "profiles": ("group", "term", "value", "zeta"),
    "shares": ("group", "variance", "share", "icc"),
    "effects": ("group", "level", "term", "estimate", "std_error"),
    "quantiles": ("name", "rank", "theoretical", "observed", "low", "high"),
    "equal_variance": ("against", "test", "statistic", "num_df", "den_df", "p_value"),
    "visits": ("time1", "time2", "subjects", "correlation", "implied_correlation"),
    "variance": ("time", "rows", "empirical", "conf_low", "conf_high", "implied"),
    "autocorrelation": ("lag", "correlation", "pairs", "pointwise", "simultaneous"),
    "semivariogram": ("distance", "pairs", "empirical", "implied", "low", "high"),
    "influence": ("level", "rows", "cooks_distance", "displacement", "term", "estimate_without"),
    "ladder": (
        *("model", "formula", "status", "npar", "loglik", "deviance", "aic", "aicc", "bic"),
        *("delta", "weight", "message"),
    ),
    "tests": ("null", "alternative", "statistic", "df", "p_value", "distribution", "p_value_naive"),
    "reductions": (
        *("term", "npar", "loglik", "aic", "statistic", "df", "p_value", "p_value_naive"),
        "distribution",
    ),
    "predictions": ("group", "time", "prediction", "interval", "low", "high"),
    "subjects": ("subject", "group", "time", "observed", "fitted", "population", "low", "high"),
}
FILES = (RESULTS, *(f"{name}.csv" for name in TABLES))
