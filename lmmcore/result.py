"""The result of a fit: thin methods, each feature in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lmmcore.errors import ArgumentError, FitError
from lmmcore.estimate.criteria import Convention, Information
from lmmcore.estimate.effects import Blups, blups
from lmmcore.estimate.solution import Solution
from lmmcore.inference.fixed.boundary_df import DfConflict, df_conflict
from lmmcore.inference.fixed.contrasts import Contrast, contrast
from lmmcore.inference.fixed.wald import DfMethod
from lmmcore.optimise.certificate import Certificate
from lmmcore.output import frames, summary
from lmmcore.prediction.predict import predict
from lmmcore.runtime import arguments

if TYPE_CHECKING:  # what is seldom needed is imported by the method that needs it
    from lmmcore.diagnostics import Diagnostics
    from lmmcore.inference.covariance.components import Components
    from lmmcore.inference.covariance.explained import RSquared, VarianceShares
    from lmmcore.inference.covariance.marginal import MarginalCovariance
    from lmmcore.inference.emmeans.grid import EmmGrid
    from lmmcore.inference.emmeans.reference_grid import At, Weighting
    from lmmcore.inference.fixed.sandwich import Robust
    from lmmcore.inference.models.caic import ConditionalAic
    from lmmcore.resampling import Bootstrap


@dataclass(frozen=True)
class Fit:
    """A fitted linear mixed model; immutable. Frames come in the library of the data (polars for files)."""

    solution: Solution

    @property
    def method(self) -> str:
        """ "REML" or "ML"."""
        return self.solution.method

    @property
    def formula(self) -> str:
        """The formula as given."""
        return self.solution.formula

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the fixed effects, in the order of `vcov`."""
        return self.solution.model.terms

    @property
    def dropped(self) -> tuple[str, ...]:
        """Fixed effects left out because those before them determine them."""
        return self.solution.model.dropped

    @property
    def nobs(self) -> int:
        """Rows used."""
        return self.solution.nobs

    @property
    def loglik(self) -> float:
        """Log-likelihood (restricted, for REML) with R's constants."""
        return self.solution.loglik

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return self.solution.deviance

    @property
    def npar(self) -> int:
        """Estimated parameters: fixed effects, covariance parameters, sigma."""
        return self.solution.npar

    @property
    def covariance_parameters(self) -> int:
        """Parameters of the covariance, sigma included."""
        return self.solution.covariance_parameters

    def information(self, convention: Convention = "lme4") -> Information:
        """AIC, AICc and BIC by the convention of "lme4", "nlme" or "sas"; see lmmcore.estimate.criteria."""
        return self.solution.information(convention)

    @property
    def aic(self) -> float:
        """Akaike's criterion (all parameters counted)."""
        return self.solution.aic

    @property
    def aicc(self) -> float:
        """AIC corrected for small samples, n = rows."""
        return self.solution.aicc

    @property
    def bic(self) -> float:
        """Bayesian criterion, n = rows (lme4's convention)."""
        return self.solution.bic

    @cached_property
    def beta(self) -> dict[str, float]:
        """Estimates of the fixed effects."""
        return dict(zip(self.terms, self.solution.beta.tolist(), strict=True))

    @cached_property
    def se(self) -> dict[str, float]:
        """Standard errors of the fixed effects."""
        return dict(zip(self.terms, np.sqrt(np.diag(self.vcov)).tolist(), strict=True))

    @property
    def vcov(self) -> np.ndarray:
        """(p, p) covariance of the fixed effects, in the order of `terms`."""
        return self.solution.vcov

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self.solution.sigma

    @property
    def residual_parameters(self) -> dict[str, float]:
        """Parameters of the residual structure, e.g. {"rho": 0.4}."""
        return self.solution.residual_parameters

    @property
    def groups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return frames.group_sizes(self.solution)

    @property
    def rows_dropped(self) -> dict[str, int]:
        """Rows left out for missing values, by reason."""
        return dict(self.solution.model.table.dropped)

    @property
    def certificate(self) -> Certificate:
        """Convergence, in facts and one sentence."""
        return self.solution.certificate

    @cached_property
    def df_conflict(self) -> DfConflict | None:
        """Degrees of freedom with the zero variances held at 0, and counted as estimated; None if none is."""
        return df_conflict(self.solution)

    @property
    def blups(self) -> list[Blups]:
        """Predicted random effects of each level, with their prediction-error covariance, as arrays."""
        return blups(self.solution)

    def varcorr(self) -> Any:
        """Frame: group, term1, term2, covariance, sd, correlation; the residual variance last."""
        return frames.varcorr(self.solution)

    def ranef(self) -> Any:
        """Frame: group, level, term, estimate, std_error (root of var(b^ - b))."""
        return frames.ranef(self.solution)

    def tidy(
        self,
        effects: Literal["fixed", "ran_pars"] = "fixed",
        df: DfMethod = "satterthwaite",
        conf_level: float = 0.95,
    ) -> Any:
        """Frame in broom.mixed's columns: effect, group, term, estimate, std_error, statistic, df, p_value,
        conf_low, conf_high. effects="ran_pars" : SDs and correlations (sd__..., cor__...) with Wald limits on
        log SD and Fisher's z, and no tests. df : "satterthwaite", "kenward-roger" (adjusts the standard
        errors too; REML only), "residual" (n - p) or "asymptotic" (infinite)."""
        return frames.tidy(self.solution, effects, df, conf_level)

    def contrast(
        self,
        L: Contrast | Sequence[Mapping[str, float]],
        rhs: float | Sequence[float] = 0.0,
        df: DfMethod = "satterthwaite",
        conf_level: float = 0.95,
    ) -> Any:
        """Frame of one row: the t test of one contrast, {term: weight} or (p,), or the joint F test of
        several; see lmmcore.inference.fixed.contrasts."""
        return contrast(self.solution, L, rhs, df, conf_level)

    def anova(self, type: Literal[1, 2, 3] = 3, df: DfMethod = "satterthwaite") -> Any:
        """Frame with a row for each term but the intercept: term, num_df, den_df, statistic (F), p_value,
        hypothesis (in words). type : 1 sequential; 2 adjusted for terms that do not contain it; 3 for all,
        those that contain it averaged with equal weights."""
        from lmmcore.inference.anova.anova import anova  # start-up time

        return anova(self.solution, type, df)

    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        at: At | None = None,
        df: DfMethod = "satterthwaite",
        conf_level: float = 0.95,
        weights: Weighting = "equal",
        nesting: Mapping[str, Any] | None = None,
    ) -> EmmGrid:
        """Estimated marginal means for the combinations of specs and by: other categories averaged with equal
        weights ("proportional" to their rows, or "flat" over those with rows), covariates at their mean or
        `at`; nested factors are found, or given as nesting={factor: outer factor}. Has .frame(), .pairs(),
        .contrast(), .sentence."""
        from lmmcore.inference.emmeans.means import emmeans  # start-up time

        return emmeans(self.solution, specs, by, at, df, conf_level, weights, nesting)

    def slopes(
        self,
        covariate: str,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        at: At | None = None,
        df: DfMethod = "satterthwaite",
        conf_level: float = 0.95,
        weights: Weighting = "equal",
        nesting: Mapping[str, Any] | None = None,
    ) -> EmmGrid:
        """Slopes of the mean over a covariate, otherwise as emmeans."""
        from lmmcore.inference.emmeans.means import slopes  # start-up time

        return slopes(self.solution, covariate, specs, by, at, df, conf_level, weights, nesting)

    def ranova(self) -> Any:
        """Frame: each random effect left out in turn, tested with the boundary's chi-bar-square distribution
        and the naive p beside it; see lmmcore.inference.models.ranova."""
        from lmmcore.inference.models.ranova import ranova  # start-up time

        return ranova(self.solution)

    def caic(self) -> ConditionalAic:
        """Conditional AIC (Greven & Kneib 2010), effective degrees of freedom with and without estimation of
        the covariance."""
        from lmmcore.inference.models.caic import caic  # start-up time

        return caic(self.solution)

    def robust(self, kind: Literal["CR2", "CR0"] = "CR2") -> Robust:
        """Cluster-robust covariance by outermost unit, Satterthwaite and AHT tests: .vcov, .tidy(),
        .contrast(L, rhs), .caution; see lmmcore.inference.fixed.sandwich."""
        from lmmcore.inference.fixed.sandwich import robust  # start-up time

        return robust(self.solution, kind)

    @property
    def diagnostics(self) -> Diagnostics:
        """Residuals, random effects and influence as data: .qq(), .acf(), .semivariogram(), ..."""
        from lmmcore.diagnostics import Diagnostics  # start-up time

        return Diagnostics(self.solution)

    def components(self, conf_level: float = 0.95) -> Components:
        """Covariance parameters with standard errors and Wald limits on log SD, Fisher's z, ...; `.frame()`,
        `.correlation`, `.sentence`."""
        from lmmcore.inference.covariance.components import components  # start-up time

        return components(self.solution, conf_level)

    def residual_sds(self, conf_level: float = 0.95) -> Any:
        """Frame: the residual SD of each group (ByGroup) or visit (Unstructured) with its standard error and
        Wald limits on log SD; one row where it is constant."""
        from lmmcore.inference.covariance.residual_sds import residual_sds  # start-up time

        return residual_sds(self.solution, conf_level)

    def confint(
        self,
        method: Literal["wald", "profile", "bootstrap"] = "wald",
        conf_level: float = 0.95,
        df: DfMethod = "satterthwaite",
        n: int = 1000,
        seed: int = 1,
    ) -> Any:
        """Frame: effect, group, term, estimate, conf_low, conf_high, method, note ("" or a sentence), for
        fixed effects and covariance parameters alike. df : of Wald limits of the fixed effects; n, seed : of
        the bootstrap, whose other intervals `bootstrap(n, seed).confint(type=...)` gives."""
        if isinstance(method, str) and method == "bootstrap":
            return self.bootstrap(n, seed).confint(conf_level=conf_level)
        from lmmcore.inference.covariance.confint import confint  # start-up time

        return confint(self.solution, method, conf_level, df)

    def bootstrap(
        self,
        n: int = 1000,
        seed: int = 1,
        *,
        kind: Literal["parametric", "cases"] = "parametric",
        progress: Callable[[int, int], None] | None = None,
    ) -> Bootstrap:
        """Fit the model again to n data sets like its own: responses drawn from the model, or its outermost
        units drawn with replacement. Has .confint(type=...), .frame(), .sentence. progress(done, n) is called
        now and then; by default a bar or log lines on stderr for work longer than a second."""
        from lmmcore.resampling import bootstrap  # start-up time
        from lmmcore.runtime.progress import Progress  # start-up time

        told = Progress(f"{kind} bootstrap") if progress is None else progress
        return bootstrap(self.solution, n, seed=seed, kind=kind, progress=told)

    def simulate(self, n: int = 1, seed: int = 1) -> np.ndarray:
        """Responses drawn from the fitted model : (rows, n), in the order of the rows used."""
        from lmmcore.resampling import simulate  # start-up time

        return simulate(self.solution, n, seed)

    def profile(self, term: str, group: str | None = None, conf_level: float = 0.99) -> Any:
        """Frame of points of one parameter's profile likelihood: value, zeta (the signed root of the ML
        deviance's rise)."""
        from lmmcore.inference.covariance.confint import profile  # start-up time

        return profile(self.solution, term, group, conf_level)

    def icc(self, at: Mapping[str, Any] | None = None) -> VarianceShares:
        """Share of each level in the variance, averaged over the rows, or at given values."""
        from lmmcore.inference.covariance.explained import icc  # start-up time

        return icc(self.solution, at)

    def r_squared(self) -> RSquared:
        """Marginal and conditional R squared (Nakagawa & Schielzeth 2013; Johnson 2014)."""
        from lmmcore.inference.covariance.explained import r_squared  # start-up time

        return r_squared(self.solution)

    def marginal_covariance(self, new: Any) -> MarginalCovariance:
        """Covariance and correlation implied at any rows of one subject."""
        from lmmcore.inference.covariance.marginal import marginal_covariance  # start-up time

        return marginal_covariance(self.solution, new)

    def glance(self) -> Any:
        """Frame of one row: the fit at a glance; n_bic and n_aicc say which n the criteria used."""
        return frames.glance(self.solution)

    def augment(self) -> Any:
        """Frame: the variables of the rows used, fitted, fitted_population, residual, residual_pearson,
        residual_normalized. Rows keep the order of the data."""
        return frames.augment(self.solution)

    def predict(
        self,
        new: Any,
        level: Literal["population", "subject"] = "population",
        interval: Literal["mean", "subject", "observation"] | None = None,
        conf_level: float = 0.95,
    ) -> Any:
        """Frame: prediction for new rows, and for an interval std_error, df, conf_low, conf_high, of the
        population's mean, of a (known or new) subject's expected response, or of a single response;
        lmmcore.prediction.predict.INTERVALS says which uncertainty each holds. At level="subject" the column
        known_subject says whether the fit knows the row's subject; an unknown one gets the population's
        prediction."""
        return predict(self.solution, new, level, interval, conf_level)

    def save(self, path: str | Path) -> None:
        """Write the fit to a file that lmmcore.load reads; see lmmcore.output.saved."""
        from lmmcore.output.saved import save  # start-up time

        save(self.solution, path)

    def report(self, path: str | Path, title: str | None = None) -> None:
        """Write one self-contained HTML page about the fit. Raises FitError if nothing that draws it is
        installed (the study around the engine brings it: package lmmstudy)."""
        from importlib.metadata import entry_points

        path = arguments.path(path, "path")
        if title is not None:
            arguments.name(title, "title")
        if path.is_dir() or not path.parent.is_dir():
            raise ArgumentError(
                f"The report cannot be written to {str(path)!r}: give a file in a folder that exists."
            )
        found = tuple(entry_points(group="lmmcore.report"))
        if not found:
            raise FitError(
                "fit.report() needs lmmstudy, which draws the page: install the project with `pip install .`."
            )
        found[0].load()(self, path, title)

    def _repr_html_(self) -> str:
        from lmmcore.output.notebook import html  # start-up time

        return html(self.solution)

    def __str__(self) -> str:
        return summary.text(self.solution)

    __repr__ = __str__
