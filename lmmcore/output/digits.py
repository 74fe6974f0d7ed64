"""How many digits a number needs to say what it says."""

from __future__ import annotations

import math

# Nearer to 1 a correlation is written with the digits of its distance.
NEAR = 1e-3


def parameter_text(name: str, value: float) -> str:
    """Four digits, for a correlation of its distance from 1 or -1 where that is small: 0.9999986, not 1."""
    distance = 1 - abs(value)
    if not name.startswith(("rho", "cor(")) or not 0 < distance < NEAR:
        return f"{value:.4g}"
    return f"{value:.{min(17, math.ceil(-math.log10(distance)) + 1)}f}"
