"""Numbers as they are printed, in one style for the whole report.

A missing number is an en dash, a negative one has the minus sign U+2212, and a p value is never 0.
"""

import math
from collections.abc import Sequence

MINUS = "\u2212"
MISSING = "\u2013"
LEVELS = (0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
"""Levels of tests beside which a p value is not rounded."""
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b⁰¹²³⁴⁵⁶⁷⁸⁹")


def fixed(value: float | None, decimals: int) -> str:
    """The value with a given number of decimals and commas between thousands."""
    if value is None or not math.isfinite(value):
        return MISSING
    printed = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(digit in printed for digit in "123456789")
    return MINUS + printed if negative else printed


def scientific(value: float, digits: int = 3) -> str:
    """The value as 3.96 × 10⁻¹⁰."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = str(int(exponent)).translate(_SUPERSCRIPT)
    return f"{mantissa.replace('-', MINUS)} × 10{power}"


def fmt(value: float | int | None, digits: int = 4) -> str:
    """The value with `digits` significant digits; whole numbers in full, tiny and huge ones with a power of
    ten."""
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) or value == 0:
        return fixed(value, 0)
    size = abs(value)
    if size < 1e-4 or size >= 1e7:
        return scientific(value, min(digits, 4))
    return fixed(value, decimals_for(value, digits))


def plain(value: float | int | str) -> str:
    """A value as it stands in the data: whole numbers in full, others with at most six significant digits;
    text as it is."""
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return fixed(value, 0)
    size = abs(value)
    if size < 1e-4 or size >= 1e7:
        return scientific(value, 4)
    return (MINUS if value < 0 else "") + f"{size:.6g}"


def decimals_for(value: float | None, digits: int = 3) -> int:
    """Decimals that show `digits` significant digits of the value (0 to 8): how a row is rounded to its
    standard error."""
    if value is None or not math.isfinite(value) or value == 0:
        return 2
    exponent = int(f"{abs(value):.{digits - 1}e}".split("e")[1])  # after rounding: 9.9996 counts as 10
    return min(max(digits - 1 - exponent, 0), 8)


def column(values: Sequence[float | None], digits: int = 4) -> tuple[str, ...]:
    """The values with common decimals, so that the points line up: those of the smallest non-zero value, at
    most 4."""
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not sizes:
        return tuple(fixed(v, 0) for v in values)
    if all(float(v).is_integer() for v in sizes):
        return tuple(fixed(v, 0) for v in values)
    middle = sorted(sizes)[len(sizes) // 2]
    decimals = max(decimals_for(middle, digits), min(decimals_for(min(sizes), 2), 4))
    return tuple(fixed(v, min(decimals, 6)) for v in values)


def limits(low: float | None, high: float | None, decimals: int) -> tuple[str, str]:
    """The ends of an interval with so many decimals, and more where an end that is not 0 would be printed as
    0: whether an interval holds 0 is seen as it is."""
    ends = [v for v in (low, high) if v is not None and math.isfinite(v) and v != 0]
    while decimals < 8 and any(float(f"{v:.{decimals}f}") == 0 for v in ends):
        decimals += 1
    return fixed(low, decimals), fixed(high, decimals)


def p_value(p: float | None) -> str:
    """A p value for a table: 0.0103, < 0.0001 or > 0.9999; with more decimals where it would be printed as
    one of LEVELS that it is not: 0.04998."""
    if p is None or not math.isfinite(p):
        return MISSING
    if p < 0.0001:
        return "< 0.0001"
    if p > 0.9999:
        return "> 0.9999"
    decimals = 4
    while decimals < 9 and any(float(f"{p:.{decimals}f}") == level != p for level in LEVELS):
        decimals += 1
    return f"{p:.{decimals}f}"


def p_sentence(p: float | None) -> str:
    """A p value for a sentence, "p = 0.0103" or "p < 0.0001", with spaces that do not break."""
    printed = p_value(p)
    return (f"p {printed}" if printed[0] in "<>" else f"p = {printed}").replace(" ", "\u00a0")


def percent(share: float | None, decimals: int = 1) -> str:
    """A share between 0 and 1 in per cent; a share that is not whole is never printed as 0% or 100%."""
    if share is None or not math.isfinite(share):
        return MISSING
    smallest = 10.0**-decimals
    if 0 < share * 100 < smallest:
        return f"< {smallest:.{decimals}f}%"
    if 100 - smallest < share * 100 < 100:
        return f"> {100 - smallest:.{decimals}f}%"
    return f"{100 * share:.{decimals}f}%"


def count(n: int, noun: str, plural: str = "") -> str:
    """A counted noun: "1 row", "180 rows"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
