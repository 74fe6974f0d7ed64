# The public names for type checkers and editors; tests/lmmcore/test_public.py holds it against __init__.py.
from lmmcore.covariance.ante_dependence import AnteDependence as AnteDependence
from lmmcore.covariance.ar1 import AR1 as AR1
from lmmcore.covariance.compound import CompoundSymmetry as CompoundSymmetry
from lmmcore.covariance.exponential import CAR1 as CAR1
from lmmcore.covariance.exponential import Exponential as Exponential
from lmmcore.covariance.exponential import Gaussian as Gaussian
from lmmcore.covariance.random_walk import RandomWalk as RandomWalk
from lmmcore.covariance.toeplitz import Toeplitz as Toeplitz
from lmmcore.covariance.unstructured import Unstructured as Unstructured
from lmmcore.covariance.variance import ByGroup as ByGroup
from lmmcore.covariance.variance import Power as Power
from lmmcore.errors import ArgumentError as ArgumentError
from lmmcore.errors import DataError as DataError
from lmmcore.errors import FitError as FitError
from lmmcore.errors import FormulaError as FormulaError
from lmmcore.errors import LmmError as LmmError
from lmmcore.fitting import fit as fit
from lmmcore.fitting import load as load
from lmmcore.inference.fixed.gls import Gls as Gls
from lmmcore.inference.fixed.gls import gls as gls
from lmmcore.inference.models.compare import Comparison as Comparison
from lmmcore.inference.models.compare import compare as compare
from lmmcore.inference.models.fixed_comparison import compare_fixed as compare_fixed
from lmmcore.inference.models.rlrt import Rlrt as Rlrt
from lmmcore.inference.models.rlrt import rlrt as rlrt
from lmmcore.output.versions import show_versions as show_versions
from lmmcore.per_subject.each import EachFit as EachFit
from lmmcore.per_subject.each import TwoStage as TwoStage
from lmmcore.per_subject.each import fit_each as fit_each
from lmmcore.resampling import bootstrap_lrt as bootstrap_lrt
from lmmcore.result import Fit as Fit

__version__: str
HOME: dict[str, str]
