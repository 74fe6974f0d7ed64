"""The compiled loops; table.c says of each argument what it must be."""

from collections.abc import Sequence

import numpy as np

ABI: int
MOST_EFFECTS: int
MOST_NUMBERS: int
MOST_DIRECTIONS: int
MOST_COLUMNS: int
MOST_NEIGHBOURS: int
AVAILABLE: tuple[str, ...]
TABLE: dict[str, list[tuple[str, str, str]]]

def use(name: str, /) -> None: ...
def used() -> str: ...
def evaluate(
    A: np.ndarray,
    B: np.ndarray,
    S: np.ndarray,
    log_r: np.ndarray,
    factor: np.ndarray,
    directions: np.ndarray,
    bends: np.ndarray,
    nu: float,
    reml: int,
    lower: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
    gram: np.ndarray,
    cone: np.ndarray,
    /,
) -> float: ...
def neighbours(
    U: np.ndarray,
    C: np.ndarray,
    starts: np.ndarray,
    outer: np.ndarray,
    gaps: np.ndarray,
    decay: float,
    m: int,
    A: np.ndarray,
    B: np.ndarray,
    total: np.ndarray,
    log_r: np.ndarray,
    /,
) -> None: ...
def patterns(
    entries: Sequence[np.ndarray], probed: int, pattern: np.ndarray, member: np.ndarray, /
) -> int: ...
def residuals(
    y: np.ndarray, columns: Sequence[np.ndarray | None], coefficients: np.ndarray, left: np.ndarray, /
) -> None: ...
def rows(
    columns: Sequence[np.ndarray | None],
    n: int,
    z: np.ndarray,
    xy: np.ndarray,
    starts: np.ndarray,
    first: int,
    last: int,
    A: np.ndarray,
    B: np.ndarray,
    S: np.ndarray,
    /,
) -> None: ...
def runs(values: np.ndarray, /) -> int: ...
def slopes(
    A: np.ndarray,
    B: np.ndarray,
    A1: np.ndarray | None,
    B1: np.ndarray | None,
    A2: np.ndarray | None,
    B2: np.ndarray | None,
    psi: np.ndarray,
    W: np.ndarray,
    first: int,
    last: int,
    E: np.ndarray,
    C: np.ndarray,
    spread: np.ndarray,
    outer: np.ndarray,
    gram: np.ndarray,
    mixed: np.ndarray,
    rest: np.ndarray,
    /,
) -> None: ...
def start(
    A: np.ndarray,
    B: np.ndarray,
    least: float,
    first: int,
    last: int,
    count: np.ndarray,
    effects: np.ndarray,
    sampling: np.ndarray,
    /,
) -> None: ...
def turn(
    A: np.ndarray,
    B: np.ndarray,
    fixed: np.ndarray,
    random: np.ndarray,
    first: int,
    last: int,
    to_A: np.ndarray,
    to_B: np.ndarray,
    /,
) -> None: ...
def value(
    A: np.ndarray, B: np.ndarray, psi: np.ndarray, first: int, last: int, quadratic: np.ndarray, /
) -> float: ...
