"""Dates and times of day as numbers: time since a beginning, in a unit that the configuration states."""

from datetime import datetime

import polars as pl

from lmmstudy.clean.layout import Layout
from lmmstudy.clean.raw_bytes import Unusable
from lmmstudy.clean.values import EXAMPLES, listing

SECONDS = {
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3600.0,
    "days": 86400.0,
    "weeks": 7 * 86400.0,
    "months": 365.25 / 12 * 86400,
    "years": 365.25 * 86400,
}
"""Length of each unit that `time_unit` may name; a month is the twelfth of a year of 365.25 days."""
CLOCK = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S%.f")
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y")
SLASHES = ("%d/%m/%Y", "%m/%d/%Y")
ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")


def to_numbers(values: pl.Series, subjects: pl.Series, rows: pl.Series, layout: Layout) -> pl.Series:
    """Float64: the time since `time_zero`, or since the subject's first time, in units of `time_unit`.

    values : text, dates or datetimes, null where missing. Raises `Unusable` for a text that is no date and
    for dates whose day and month could be exchanged.
    """
    moments = values if values.dtype.is_temporal() else _moments(values, rows, layout)
    if moments.dtype not in (pl.Date, pl.Datetime):
        kind = str(moments.dtype).split("(")[0].lower()
        advice = "store dates, or remove `time_unit`"
        raise Unusable(f"column {values.name!r} holds {kind} values, no dates: {advice}")
    if (beyond := moments.is_not_null() & moments.dt.year().is_null()).any():  # farther than polars can count
        where = ", ".join(str(row) for row in rows.filter(beyond).head(EXAMPLES))
        raise Unusable(f"column {values.name!r} holds dates beyond all years in row {where}: correct them")
    moments = moments.cast(pl.Datetime("us", getattr(moments.dtype, "time_zone", None)))
    if getattr(moments.dtype, "time_zone", None):
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    frame = pl.DataFrame({"subject": subjects, "moment": moments})
    zero = layout.design.get("time_zero")
    start = pl.col("moment").min().over("subject") if zero is None else pl.lit(beginning(zero))
    elapsed = (pl.col("moment") - start).dt.total_microseconds()
    return frame.select(elapsed / (1e6 * SECONDS[layout.design["time_unit"]])).to_series().alias(values.name)


def beginning(text: str) -> datetime:
    """The moment that `time_zero` names. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("a time zone")
    return moment


def describe(layout: Layout) -> str:
    """What the conversion did, in words for the audit."""
    zero = layout.design.get("time_zero", "the subject's first")
    return f"date to {layout.design['time_unit']} since {zero}"


def _moments(values: pl.Series, rows: pl.Series, layout: Layout) -> pl.Series:
    """Text as datetimes, by `date_format` or by the first usual format that reads all values."""
    given = layout.design.get("date_format")
    if given:
        return _checked(_read(values, given), values, rows, f"not written as `date_format` {given!r} says")
    best: pl.Series | None = None
    for day in DAYS:
        for clock in CLOCK:
            for join in (" ", "T") if clock else ("",):
                found = _read(values, f"{day}{join}{clock}")
                if found.null_count() == values.null_count():
                    return found
                best = found if best is None or found.null_count() < best.null_count() else best
    for zoned in ZONED:
        found = _read(values, zoned)
        if found.null_count() == values.null_count():
            return found
    readings = [_slashed(values, day) for day in SLASHES]
    whole = [found for found in readings if found is not None]
    if len(whole) == 1:
        return whole[0]
    if len(whole) == 2:
        raise Unusable(
            f"column {values.name!r} has dates whose day and month could be exchanged, such as "
            f"{values.drop_nulls()[0]!r}: set `date_format`, such as '%d/%m/%Y'"
        )
    assert best is not None
    return _checked(best, values, rows, "not a date, or not written like the others")


def _slashed(values: pl.Series, day: str) -> pl.Series | None:
    for clock in CLOCK:
        found = _read(values, f"{day} {clock}".strip())
        if found.null_count() == values.null_count():
            return found
    return None


def _read(values: pl.Series, form: str) -> pl.Series:
    """Datetimes, null where the text is not of the form; zoned ones in UTC."""
    zone = "UTC" if "z" in form else None
    clock = any(part in form for part in ("%H", "%I", "%T", "%s"))
    try:
        if clock:
            found = values.str.to_datetime(form, strict=False, time_unit="us", time_zone=zone, exact=True)
        else:
            found = values.str.to_date(form, strict=False, exact=True).cast(pl.Datetime("us"))
    except (pl.exceptions.PolarsError, ValueError):  # a form that polars cannot read
        return pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    return found.set((found.dt.year() < 1000).fill_null(False), None)  # a year of two digits


def _checked(found: pl.Series, values: pl.Series, rows: pl.Series, complaint: str) -> pl.Series:
    strange = found.is_null() & values.is_not_null()
    if strange.any():
        where = listing(values, rows, strange)
        raise Unusable(
            f"column {values.name!r} holds what is {complaint}: {where}: correct them, name them under "
            "`missing`, or set `date_format`"
        )
    return found
