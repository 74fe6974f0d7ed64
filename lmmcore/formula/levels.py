"""Categories: a column's values -> codes and levels, alike from every frame library."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from lmmcore.errors import DataError
from lmmcore.kernel.columns import runs, serves

# Up to so many rows a dict of Python strings is faster than the frame library's own encoding.
FEW = 1000

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
# A minus sign belongs to a number at the start of a word: "Week -1", but not "V-1".
_NUMBER = re.compile(r"(?:(?<![^\s(])-)?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Labels:
    """Text of `count` levels that is written when somebody asks: a million subjects are fitted by number.

    numbers : whether the labels are numbers, which hold no ":".
    """

    count: int
    write: Callable[[], Iterable[str]]
    numbers: bool = False


@dataclass(frozen=True)
class Factor:
    """A category. codes : (n,) intp, places in levels; every level occurs; labels : text of the levels.

    declared : levels in an order that the user or the column's type gives, those that do not occur too; None
    where nobody gave one.
    """

    codes: np.ndarray
    labels: tuple[str, ...] | Labels
    declared: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """Number of levels."""
        return self.labels.count if isinstance(self.labels, Labels) else len(self.labels)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The levels in order."""
        return tuple(self.labels.write()) if isinstance(self.labels, Labels) else self.labels


def interaction(factors: Sequence[Factor]) -> Factor:
    """The combinations of levels that occur, sorted by the first factor, then the second; levels "a:b"."""
    codes, parts = factors[0].codes, np.arange(factors[0].size)[None]
    for factor in factors[1:]:
        codes, combined = compact(codes * factor.size + factor.codes)
        parts = np.concatenate([parts[:, combined // factor.size], combined[None] % factor.size])

    def write() -> list[str]:
        columns = [
            np.array(factor.levels, dtype=object)[part] for factor, part in zip(factors, parts, strict=True)
        ]
        return [":".join(names) for names in zip(*columns, strict=True)]

    numbers = all(isinstance(factor.labels, Labels) and factor.labels.numbers for factor in factors)
    result = Factor(codes, Labels(parts.shape[1], write, numbers))
    if not numbers and len(set(result.levels)) < result.size:
        twice = Counter(result.levels).most_common(1)[0][0]
        raise DataError(
            f"Two combinations of the grouping columns are both written {twice!r}, because a level holds "
            "':'; replace the ':' in the data."
        )
    return result


def level_text(value: Any) -> str:
    """A level as text; a whole number without decimals."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def told_apart(values: Sequence[float]) -> tuple[str, ...]:
    """Distinct numbers as text, whole ones in full, others with six digits or as many as tell them apart."""
    texts = [""] * len(values)
    for digits in range(6, 18):
        texts = [
            str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.{digits}g}"
            for value in values
        ]
        if len(set(texts)) == len(texts):
            break
    return tuple(texts)


def by_numbers(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Labels in the order of the number in them; None unless they differ in a single number ("Week 2")."""
    found = [[float(number) for number in _NUMBER.findall(label)] for label in labels]
    shapes = {" ".join(_NUMBER.sub("#", label).casefold().split()) for label in labels}
    if len(shapes) > 1 or not found or not found[0]:
        return None
    numbers = np.array(found)
    varying = [place for place in range(numbers.shape[1]) if np.ptp(numbers[:, place]) > 0]
    if len(varying) > 1 or (len(labels) > 1 and not varying):
        return None
    key = numbers[:, varying[0] if varying else 0]
    if len(set(key.tolist())) < len(labels):
        return None
    return tuple(labels[index] for index in np.argsort(key))


def declared_levels(series: nw.Series[Any], listed: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Levels in the order that the user or the type of the column declares; None without one.

    A category of pandas declares one, ordered or not, unless an unordered one is simply sorted: pandas sorts
    the levels that it finds itself, "Week 10" before "Week 2". A Categorical of polars and an unordered
    dictionary of pyarrow are in the order of first appearance, which declares nothing.
    """
    if listed is not None:
        return tuple(level_text(value) for value in listed)
    dtype, native = series.dtype, series.to_native()
    if isinstance(dtype, nw.Enum):
        return tuple(level_text(value) for value in dtype.categories)
    if dtype != nw.Categorical or series.implementation.is_polars():
        return None
    if series.implementation.is_pyarrow():
        whole = native.unify_dictionaries().combine_chunks()
        return tuple(map(level_text, whole.dictionary.to_pylist())) if whole.type.ordered else None
    levels = tuple(level_text(value) for value in native.cat.categories)
    return None if list(levels) == sorted(levels) and not native.cat.ordered else levels


def category(
    name: str, series: nw.Series[Any], listed: Sequence[Any] | None, numeric_text: bool
) -> tuple[Factor, np.ndarray | None]:
    """A column as a category, codes -1 where it is missing.

    listed : the user's levels in order. numeric_text : text that is whole numbers throughout is sorted as
    numbers.
    """
    codes, values, declared = _encoded(series)
    where = codes < 0 if len(codes) and codes.min() < 0 else None
    if listed is None and isinstance(values, np.ndarray):  # whole numbers in order
        return Factor(codes, _numbered(values)), where
    texts = [level_text(value) for value in values]
    if listed is not None:
        return _listed(name, codes, texts, [level_text(value) for value in listed]), where
    if numeric_text and texts and all(_WHOLE.fullmatch(text) for text in texts):
        values = [int(text) for text in texts]
    order = range(len(values)) if declared else sorted(range(len(values)), key=values.__getitem__)
    return _ordered(codes, texts, order), where


def _numbered(values: np.ndarray) -> Labels:
    return Labels(len(values), lambda: map(str, values.tolist()), numbers=True)


def _listed(name: str, codes: np.ndarray, texts: list[str], levels: list[str]) -> Factor:
    if len(set(levels)) < len(levels) or not levels:
        raise DataError(
            f"The categories given for {name!r} are empty or name a level twice; list each level once."
        )
    place = {text: index for index, text in enumerate(texts)}
    outside = sorted(place.keys() - set(levels))
    if outside:
        raise DataError(
            f"The column {name!r} has the level {outside[0]!r}, but its known levels are "
            f"{', '.join(map(repr, levels[:20]))}; correct the value or add it to the list."
        )
    return _ordered(codes, texts, [place[level] for level in levels if level in place])


def _ordered(codes: np.ndarray, texts: list[str], order: Iterable[int]) -> Factor:
    """Levels in the given order of their places; codes follow, -1 stays."""
    order = list(order)
    place = np.full(len(texts) + 1, -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    return Factor(place[codes], tuple(texts[index] for index in order))


def _encoded(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any] | np.ndarray, bool]:
    """codes (n,), -1 where missing; the distinct values they number; whether in a declared order.

    Whole numbers come as an array, sorted."""
    dtype = series.dtype
    if dtype.is_integer() or dtype == nw.Boolean:
        return *_encoded_integers(series, dtype == nw.Boolean), False
    if dtype.is_float():
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
        distinct, codes = np.unique(values, return_inverse=True)  # one NaN, and that last
        known = distinct[~np.isnan(distinct)].tolist()
        return np.where(codes < len(known), codes, -1), known, False
    if dtype in (nw.Categorical, nw.Enum) or (dtype == nw.String and len(series) > FEW):
        if series.implementation.is_polars():
            return _encoded_polars(series)
        if series.implementation.is_pyarrow():
            return _encoded_pyarrow(series)
        return _encoded_pandas(series)
    texts = [level_text(value) for value in series.to_list()]
    absent = np.flatnonzero(series.is_null().to_numpy()) if series.null_count() else ()
    place = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    codes = np.fromiter(map(place.__getitem__, texts), np.intp, len(texts))
    if len(absent):
        codes[absent] = -1
        codes, present = compact(codes)
        return codes, [list(place)[index] for index in present], False
    return codes, list(place), False


def _encoded_integers(series: nw.Series[Any], boolean: bool) -> tuple[np.ndarray, list[Any] | np.ndarray]:
    absent = series.is_null().to_numpy() if series.null_count() else None
    filled = series if absent is None else series.fill_null(False if boolean else 0)
    values = np.asarray(filled.to_numpy())
    if boolean:
        values = values.astype(np.int8)
    if absent is None and serves(values):
        lowest, highest = int(values[0]), int(values[-1])
        if 0 < runs(values) == highest - lowest + 1:  # in rising order, no number left out
            return values - lowest if lowest else values, np.arange(lowest, highest + 1)
    lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    distinct, top = None, highest - lowest
    if top > 4 * len(values) + 1000:
        distinct, codes = np.unique(values, return_inverse=True)
        top = len(distinct) - 1
    elif lowest or values.dtype != np.int64:
        codes = np.subtract(values, lowest, dtype=np.int64)
    else:
        codes = values
    if absent is not None:
        codes = np.where(absent, -1, codes)
    codes, present = compact(codes, top)
    known = present + lowest if distinct is None else distinct[present]
    return codes, [bool(value) for value in known.tolist()] if boolean else known


def _encoded_polars(series: nw.Series[Any]) -> tuple[np.ndarray, list[str], bool]:
    native, pl = series.to_native(), series.__native_namespace__()
    declared = series.dtype == nw.Enum
    numbered = native.cast(pl.Categorical) if series.dtype == nw.String else native
    raw = numbered.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    codes, present = compact(raw)
    example = np.zeros(len(present) + 1, dtype=np.intp)  # a row of each level; the last for missing
    example[codes] = np.arange(len(codes))
    return codes, native.gather(example[:-1]).cast(pl.String).to_list(), declared


def _encoded_pyarrow(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any], bool]:
    native, pa = series.to_native(), series.__native_namespace__()
    if not pa.types.is_dictionary(native.type):
        native = native.dictionary_encode()
    array = native.unify_dictionaries().combine_chunks()
    raw = array.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
    codes, present = compact(raw)
    return codes, array.dictionary.take(pa.array(present)).to_pylist(), array.type.ordered


def _encoded_pandas(series: nw.Series[Any]) -> tuple[np.ndarray, list[Any], bool]:
    native, pd = series.to_native(), series.__native_namespace__()
    if series.dtype == nw.String:
        raw, values = pd.factorize(native)
        return raw.astype(np.intp, copy=False), values.tolist(), False
    codes, present = compact(native.cat.codes.to_numpy().astype(np.int64))
    return codes, [native.cat.categories[index] for index in present], True  # in the order of its categories


def compact(raw: np.ndarray, top: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Integers (n,) >= -1 renumbered 0, 1, ... in their order, -1 stays; and the integers >= 0 that occur.

    top : a number that none exceeds, where one is known.
    """
    if top is None:
        top = int(raw.max()) if len(raw) else -1
    if top > 4 * len(raw) + 1000:
        present, codes = np.unique(raw, return_inverse=True)
        gone = int(present[0] == -1)
        return codes - gone, present[gone:]
    used = np.zeros(top + 2, dtype=bool)  # the last place is that of -1
    used[raw] = True
    present = np.flatnonzero(used[:-1])
    if len(present) == top + 1:  # numbered so already
        return raw.astype(np.intp, copy=False), present
    place = np.full(top + 2, -1, dtype=np.intp)
    place[present] = np.arange(len(present))
    return place[raw], present


def kept_rows(factor: Factor, kept: np.ndarray) -> Factor:
    """The factor in some rows; levels that do not occur there go."""
    codes, present = compact(factor.codes[kept])
    labels, places = factor.labels, present.tolist()
    if isinstance(labels, Labels):
        levels = lambda: [factor.levels[index] for index in places]  # noqa: E731
        return Factor(codes, Labels(len(places), levels, labels.numbers), factor.declared)
    return Factor(codes, tuple(labels[index] for index in places), factor.declared)
