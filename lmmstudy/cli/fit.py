"""Fit a formula to a file and print the summary.

Example: lmm fit "Reaction ~ Days + (Days | Subject)" data/raw/sleepstudy.csv --residual ar1:Days
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from lmmstudy.base.text import did_you_mean, one_line
from lmmstudy.cli.options import add_force

RESIDUALS = (
    *("ar1", "car1", "exponential", "gaussian"),
    *("compound_symmetry", "toeplitz", "unstructured", "ante_dependence", "random_walk"),
)
VARIANCES = {"by_group": "column", "power": "of"}


def add(parser: ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("formula", help="in lme4 notation")
    parser.add_argument("file", help="a text file (.csv, .tsv, ...) or .parquet, as lmm init reads them")
    parser.add_argument("--method", choices=("REML", "ML"), default="REML")
    parser.add_argument(
        "--residual",
        type=residual,
        metavar="TYPE:TIME[,subject=COLUMN[:COLUMN]][,by=COLUMN][,nugget][,homogeneous]",
        help="correlation within subjects, e.g. ar1:time, or within combinations of columns, e.g. "
        f"ar1:time,subject=site:id, of its own for each level of a column by ar1:time,by=arm; "
        f"TYPE is one of {', '.join(RESIDUALS)}",
    )
    parser.add_argument(
        "--variance",
        type=variance,
        metavar="TYPE:COLUMN",
        help="by_group:COLUMN, power:COLUMN or power:fitted",
    )
    parser.add_argument(
        "--df",
        choices=("satterthwaite", "kenward-roger", "residual", "asymptotic"),
        default="satterthwaite",
        help="degrees of freedom of the fixed effects",
    )
    parser.add_argument("--report", metavar="PAGE.html", help="write the fit's report to this file")
    add_force(parser)


def main(given: Namespace) -> int:
    """Fit and print."""
    import lmmcore as lmm  # start-up time
    from lmmstudy.base.files import PAGE_OF_FIT, name_of_page  # start-up time
    from lmmstudy.clean.raw_bytes import Unusable  # start-up time
    from lmmstudy.cli.table import fit_table  # start-up time
    from lmmstudy.cli.targets import check_target  # start-up time
    from lmmstudy.fitting.structures import residual_of, variance_of  # start-up time

    if given.report is not None:
        check_target(given.report, "The report", lambda path: name_of_page(path) == PAGE_OF_FIT, given.force)
    try:
        table, guesses = fit_table(given.file, given.formula, given.residual, given.variance)
    except Unusable as reason:
        print(one_line(f"No fit: {reason}."), file=sys.stderr)
        return 1
    if guesses:
        print(guesses, file=sys.stderr)
    fit = lmm.fit(
        given.formula,
        table,
        method=given.method,
        residual=residual_of(given.residual),
        variance=variance_of(given.variance),
    )
    if given.report is not None:
        from lmmstudy.report.for_fit import for_fit  # start-up time

        for_fit(fit, given.report, force=True)  # it was looked at above
    print(fit)
    if given.df != "satterthwaite":
        print(f"\nFixed effects ({given.df}):")
        for row in fit.tidy(df=given.df).to_dicts():
            print(
                f"  {row['term']}: {row['estimate']:.5g} (se {row['std_error']:.4g}, df "
                f"{row['df'] if row['df'] is not None else float('inf'):.4g}, p {row['p_value']:.4g}), "
                f"95% interval {row['conf_low']:.5g} to {row['conf_high']:.5g}"
            )
    return 0


def residual(text: str) -> dict[str, Any]:
    """The residual structure that `text` names, as `lmmstudy.fitting.structures` takes it."""
    kind, _, rest = text.partition(":")
    _known(kind, RESIDUALS)
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    plain = [part for part in parts if "=" not in part]
    nugget, equal = "nugget" in plain, "homogeneous" in plain
    times = [part for part in plain if part not in ("nugget", "homogeneous")]
    if set(named) - {"subject", "by"}:
        raise ArgumentTypeError(
            f"{text!r}: only subject= and by= may be set, as in ar1:time,subject=id,by=arm"
        )
    if kind == "compound_symmetry" and times or len(times) > 1:
        raise ArgumentTypeError(f"{text!r} names a time too many")
    if kind != "compound_symmetry" and not times:
        raise ArgumentTypeError(f"{text!r} needs the column of the times, as in {kind}:time")
    if nugget and kind not in ("exponential", "gaussian"):
        raise ArgumentTypeError(f"{text!r}: only exponential and gaussian have a nugget")
    if equal and kind != "ante_dependence":
        raise ArgumentTypeError(f"{text!r}: only ante_dependence may be homogeneous")
    columns = named.get("subject", "").split(":")
    subject = columns if len(columns) > 1 else columns[0] or None
    found = {"type": kind, "time": times[0] if times else None, "subject": subject, "nugget": nugget}
    found |= {"heterogeneous": not equal} if kind == "ante_dependence" else {}
    return found | ({"by": named["by"]} if named.get("by") else {})


def variance(text: str) -> dict[str, str]:
    """The variance structure that `text` names, as `lmmstudy.fitting.structures` takes it."""
    kind, _, column = text.partition(":")
    _known(kind, tuple(VARIANCES))
    if not column:
        raise ArgumentTypeError(f"{text!r} needs a column, as in {kind}:COLUMN")
    return {"type": kind, VARIANCES[kind]: column}


def _known(kind: str, allowed: tuple[str, ...]) -> None:
    if kind not in allowed:
        near = did_you_mean(kind, allowed)
        raise ArgumentTypeError(f"there is no type {kind!r}{near} (allowed: {', '.join(allowed)})")
