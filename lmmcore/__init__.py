"""Linear mixed models for longitudinal data: random effects, serial correlation, exact derivatives."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmmcore.covariance.ante_dependence import AnteDependence
from lmmcore.covariance.ar1 import AR1
from lmmcore.covariance.compound import CompoundSymmetry
from lmmcore.covariance.exponential import CAR1, Exponential, Gaussian
from lmmcore.covariance.random_walk import RandomWalk
from lmmcore.covariance.toeplitz import Toeplitz
from lmmcore.covariance.unstructured import Unstructured
from lmmcore.covariance.variance import ByGroup, Power
from lmmcore.errors import ArgumentError, DataError, FitError, FormulaError, LmmError
from lmmcore.fitting import fit
from lmmcore.inference.fixed.gls import Gls, gls
from lmmcore.per_subject.each import EachFit, TwoStage, fit_each
from lmmcore.result import Fit

if TYPE_CHECKING:  # LATER says it to Python
    from lmmcore.inference.models.compare import Comparison, compare
    from lmmcore.inference.models.fixed_comparison import compare_fixed
    from lmmcore.inference.models.rlrt import Rlrt, rlrt
    from lmmcore.output.saved import load
    from lmmcore.resampling import bootstrap_lrt
    from lmmcore.runtime.versions import show_versions

__version__ = "0.1.0"

# Imported when first asked for: a study has thousands of short jobs that fit and do no more.
LATER = {
    "Comparison": "lmmcore.inference.models.compare",
    "Rlrt": "lmmcore.inference.models.rlrt",
    "bootstrap_lrt": "lmmcore.resampling",
    "compare": "lmmcore.inference.models.compare",
    "compare_fixed": "lmmcore.inference.models.fixed_comparison",
    "load": "lmmcore.output.saved",
    "rlrt": "lmmcore.inference.models.rlrt",
    "show_versions": "lmmcore.runtime.versions",
}

__all__ = [
    "AR1",
    "AnteDependence",
    "ArgumentError",
    "ByGroup",
    "CAR1",
    "Comparison",
    "CompoundSymmetry",
    "DataError",
    "EachFit",
    "Exponential",
    "Fit",
    "FitError",
    "FormulaError",
    "Gaussian",
    "Gls",
    "LmmError",
    "Power",
    "RandomWalk",
    "Rlrt",
    "Toeplitz",
    "TwoStage",
    "Unstructured",
    "bootstrap_lrt",
    "compare",
    "compare_fixed",
    "fit",
    "fit_each",
    "gls",
    "load",
    "rlrt",
    "show_versions",
]


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LATER[name]), name)
