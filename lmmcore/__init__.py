"""Linear mixed models for longitudinal data: random effects, serial correlation, exact derivatives."""

from lmmcore.covariance.ar1 import AR1
from lmmcore.errors import DataError, FitError, FormulaError, LmmError
from lmmcore.fit import fit
from lmmcore.inference.compare import Comparison, compare
from lmmcore.result import Fit

__version__ = "0.1.0"

__all__ = [
    "AR1",
    "Comparison",
    "DataError",
    "Fit",
    "FitError",
    "FormulaError",
    "LmmError",
    "compare",
    "fit",
]
