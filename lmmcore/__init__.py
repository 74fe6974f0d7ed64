"""Linear mixed models for longitudinal data: random effects, serial correlation, exact derivatives.

    import lmmcore as lmm

    fit = lmm.fit("Reaction ~ Days + (Days | Subject)", frame)
    print(fit)

`lmm.fit` gives a `Fit`, whose methods give all that follows from it. Structures of the residuals are `AR1`,
`CAR1`, `Exponential`, `Gaussian`, `CompoundSymmetry`, `Toeplitz`, `Unstructured`, `RandomWalk` and
`AnteDependence`, variance functions `ByGroup` and `Power`. `compare`, `compare_fixed`, `rlrt` and
`bootstrap_lrt` take several fits; `gls` and `fit_each` are other ways to fit. Every error that a user can
mend is an `LmmError`.
"""

from importlib import import_module

__version__ = "0.1.0"

# Where each public name lives. It is imported when first asked for: a study has thousands of short jobs, and
# what a job does not use costs it no time and is no part of what its results depend on
# (lmmstudy.base.fingerprint).
HOME = {
    "AnteDependence": "lmmcore.covariance.ante_dependence",
    "AR1": "lmmcore.covariance.ar1",
    "ArgumentError": "lmmcore.errors",
    "bootstrap_lrt": "lmmcore.resampling",
    "ByGroup": "lmmcore.covariance.variance",
    "CAR1": "lmmcore.covariance.exponential",
    "compare": "lmmcore.inference.models.compare",
    "compare_fixed": "lmmcore.inference.models.fixed_comparison",
    "Comparison": "lmmcore.inference.models.compare",
    "CompoundSymmetry": "lmmcore.covariance.compound",
    "DataError": "lmmcore.errors",
    "EachFit": "lmmcore.per_subject.each",
    "Exponential": "lmmcore.covariance.exponential",
    "Fit": "lmmcore.result",
    "fit": "lmmcore.fitting",
    "fit_each": "lmmcore.per_subject.each",
    "FitError": "lmmcore.errors",
    "FormulaError": "lmmcore.errors",
    "Gaussian": "lmmcore.covariance.exponential",
    "Gls": "lmmcore.inference.fixed.gls",
    "gls": "lmmcore.inference.fixed.gls",
    "LmmError": "lmmcore.errors",
    "load": "lmmcore.fitting",
    "Power": "lmmcore.covariance.variance",
    "RandomWalk": "lmmcore.covariance.random_walk",
    "Rlrt": "lmmcore.inference.models.rlrt",
    "rlrt": "lmmcore.inference.models.rlrt",
    "show_versions": "lmmcore.output.versions",
    "Toeplitz": "lmmcore.covariance.toeplitz",
    "TwoStage": "lmmcore.per_subject.each",
    "Unstructured": "lmmcore.covariance.unstructured",
}

__all__ = sorted(HOME)


def __getattr__(name: str) -> object:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(HOME[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *HOME])
