"""Remember what has been computed of an object, for as long as that object lives."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

Of = TypeVar("Of")
Result = TypeVar("Result")


def remembered(function: Callable[[Of], Result]) -> Callable[[Of], Result]:
    """Compute function(of) once for each object `of`, which must be immutable and compared by identity."""
    known: WeakKeyDictionary[Of, Result] = WeakKeyDictionary()

    @wraps(function)
    def recalled(of: Of) -> Result:
        if of not in known:
            known[of] = function(of)
        return known[of]

    return recalled
