"""Bootstrap: simulate from a fitted model, fit again, and read off intervals and tests."""

from lmmcore.resampling.lrt import bootstrap_lrt
from lmmcore.resampling.result import Bootstrap, bootstrap
from lmmcore.resampling.simulate import simulate

__all__ = ["Bootstrap", "bootstrap", "bootstrap_lrt", "simulate"]
