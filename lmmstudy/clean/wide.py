"""A table with one row a subject and one column a time, as one with a row a measurement."""

import polars as pl

from lmmstudy.base.text import quoted
from lmmstudy.clean.layout import Layout
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.clean.read import ROW


def lengthen(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """One row for each row of `frame` and each column of `layout.wide`, in this order.

    The time is text, as in a text file, when the responses are; row numbers stay those of the file. Raises
    `Unusable` when the columns are of different types.
    """
    columns = list(layout.wide)
    assert layout.time is not None  # which the configuration was checked for
    types = {frame[column].dtype for column in columns}
    if len(types) > 1 and not all(kind.is_numeric() for kind in types):
        raise Unusable(f"the columns {quoted(columns)} of `wide` hold different things: store all as numbers")
    kept = [ROW, layout.subject, *layout.design["covariates"]]  # the first measurement may be a covariate
    parts = [
        frame.select(
            *kept,
            pl.lit(float(time)).alias(layout.time),
            pl.col(column).alias(layout.response)
            if types == {pl.String}
            else pl.col(column).cast(pl.Float64).alias(layout.response),
        )
        for column, time in layout.wide.items()
    ]
    return pl.concat(parts).sort(ROW, maintain_order=True)
