"""Bootstrap: simulate from a fitted model, fit again, and read off intervals and tests."""

from lmmcore.bootstrap.lrt import bootstrap_lrt
from lmmcore.bootstrap.result import Bootstrap, bootstrap
from lmmcore.bootstrap.simulate import simulate

__all__ = ["Bootstrap", "bootstrap", "bootstrap_lrt", "simulate"]
