"""The structures of the package, by their names in a configuration; what reads or writes names reads this."""

from typing import Any

from lmmcore.covariance.ante_dependence import AnteDependence
from lmmcore.covariance.ar1 import AR1
from lmmcore.covariance.compound import CompoundSymmetry
from lmmcore.covariance.exponential import CAR1, Exponential, Gaussian
from lmmcore.covariance.random_walk import RandomWalk
from lmmcore.covariance.toeplitz import Toeplitz
from lmmcore.covariance.unstructured import Unstructured
from lmmcore.covariance.variance import ByGroup, Power

RESIDUALS: dict[str, Any] = {
    kind.type: kind
    for kind in (
        AR1,
        CAR1,
        Exponential,
        Gaussian,
        CompoundSymmetry,
        Toeplitz,
        Unstructured,
        AnteDependence,
        RandomWalk,
    )
}
VARIANCES: dict[str, Any] = {"by_group": ByGroup, "power": Power}
