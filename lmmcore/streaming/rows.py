"""What stands in for rows that were not kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lmmcore.errors import FitError


@dataclass(frozen=True)
class Absent:
    """A column of `size` rows that was not kept: whoever needs its values is told so, by FitError."""

    size: int
    file: str

    def __len__(self) -> int:
        return self.size

    def refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Raise the error."""
        raise FitError(
            f"The fit was streamed from {self.file!r} and kept no rows, which this result needs (as do "
            "augment, residuals, simulate and bootstrap); predict(rows, level='subject') gives fitted values "
            "of rows you pass, and a fit of some subjects, as a frame, gives the rest."
        )

    __getitem__ = __iter__ = __array__ = __add__ = __sub__ = __mul__ = __neg__ = refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and not name.startswith("__array"):
            raise AttributeError(name)
        self.refuse()


@dataclass(frozen=True)
class Runs:
    """Unit of each of n sorted rows, kept as the first row of each unit, starts : (N,)."""

    starts: np.ndarray
    rows: Absent

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.starts, places, side="right") - 1

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.rows.refuse()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)
