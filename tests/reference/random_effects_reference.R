# Tests of random effects by RLRsim and lmerTest, conditional AIC by cAIC4: writes
# tests/reference/random_effects_reference.json. Run from the root of the repository:
#   Rscript tests/reference/random_effects_reference.R
# Needs Debian 12's r-cran-lme4 r-cran-lmertest r-cran-rlrsim r-cran-caic4 r-cran-jsonlite.

suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(RLRsim)
  library(cAIC4)
  library(jsonlite)
})
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

sleepstudy <- read.csv("data/raw/sleepstudy.csv")
orthodont <- read.csv("data/raw/orthodont.csv")
made <- function(name) read.csv(paste0("tests/reference/data/", name, ".csv"))
dyestuff <- made("dyestuff")
machines <- made("machines")
pastes <- made("pastes")
unbalanced <- made("unbalanced")
files <- c(
  sleepstudy = "data/raw/sleepstudy.csv", orthodont = "data/raw/orthodont.csv",
  dyestuff = "tests/reference/data/dyestuff.csv", machines = "tests/reference/data/machines.csv",
  pastes = "tests/reference/data/pastes.csv", unbalanced = "tests/reference/data/unbalanced.csv"
)
tight <- lmerControl(
  optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), check.conv.grad = "ignore"
)
fitted_by <- function(formula, data, REML) {
  lmerTest::lmer(as.formula(formula), data = get(data), REML = REML, control = tight)
}

# ---- RLRsim: m has the tested effect alone, mA and m0 are the models with and without it ----

# Its default grid of 200 values of lambda reports more zeros than there are; this one is finer.
SIMULATIONS <- 100000
simulated <- function(test, ...) {
  result <- test(..., nsim = SIMULATIONS, seed = 1, gridlength = 1000, log.grid.lo = -14, log.grid.hi = 12)
  list(
    statistic = unname(result$statistic), p_value = result$p.value,
    quantiles = unname(quantile(result$sample, c(0.6, 0.75, 0.9, 0.95, 0.99))),
    zero = mean(result$sample == 0)
  )
}
alone <- function(id, data, fixed, random) {
  formula <- paste(fixed, "+", random)
  m <- fitted_by(formula, data, TRUE)
  ml <- fitted_by(formula, data, FALSE)
  list(
    c(list(id = id, data = files[[data]], formula = formula, term = random, method = "REML"),
      simulated(exactRLRT, as(m, "lmerMod"))),
    c(list(id = id, data = files[[data]], formula = formula, term = random, method = "ML"),
      simulated(exactLRT, as(ml, "lmerMod"), lm(as.formula(fixed), get(data))))
  )
}
beside <- function(id, data, fixed, random, other) {
  fit <- function(...) as(fitted_by(paste(fixed, "+", paste(c(...), collapse = " + ")), data, TRUE), "lmerMod")
  list(c(
    list(id = id, data = files[[data]], formula = paste(fixed, "+", random, "+", other), term = random,
         method = "REML"),
    simulated(exactRLRT, fit(random), fit(random, other), fit(other))
  ))
}
rlrt <- c(
  alone("dyestuff", "dyestuff", "Yield ~ 1", "(1 | Batch)"),
  alone("sleepstudy", "sleepstudy", "Reaction ~ Days", "(1 | Subject)"),
  alone("orthodont", "orthodont", "distance ~ age * Sex", "(1 | Subject)"),
  alone("unbalanced", "unbalanced", "y ~ time + group", "(0 + time | id)"),
  alone("pastes", "pastes", "strength ~ 1", "(1 | batch)"),
  beside("slope", "sleepstudy", "Reaction ~ Days", "(0 + Days | Subject)", "(1 | Subject)"),
  beside("intercept", "unbalanced", "y ~ time + group", "(1 | id)", "(0 + time | id)"),
  beside("outer", "machines", "score ~ Machine", "(1 | Worker)", "(1 | Worker:Machine)"),
  beside("inner", "pastes", "strength ~ 1", "(1 | batch:cask)", "(1 | batch)")
)

# ---- lmerTest: each random effect left out in turn ----

left_out <- function(data, formula, REML) {
  table <- lmerTest::ranova(fitted_by(formula, data, REML))
  list(
    data = files[[data]], formula = formula, method = if (REML) "REML" else "ML",
    rows = data.frame(
      term = rownames(table), npar = table$npar, loglik = table$logLik, aic = table$AIC,
      statistic = table$LRT, df = table$Df, p_value_naive = table[["Pr(>Chisq)"]]
    )
  )
}
ranova <- list(
  left_out("sleepstudy", "Reaction ~ Days + (Days | Subject)", TRUE),
  left_out("sleepstudy", "Reaction ~ Days + (Days | Subject)", FALSE),
  left_out("sleepstudy", "Reaction ~ Days + (1 | Subject)", TRUE),
  left_out("machines", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", TRUE),
  left_out("machines", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", FALSE),
  left_out("machines", "score ~ Machine + (0 + Machine | Worker)", TRUE),
  left_out("orthodont", "distance ~ age * Sex + (age | Subject)", FALSE),
  left_out("unbalanced", "y ~ time + group + (time | id)", TRUE)
)

# ---- cAIC4 ----

# cAIC4 1.0 differentiates y'P y by y as P y where it is 2 P y, in one term of the derivative of the covariance
# parameters by y ("2 * tye" in calculateGaussianBc). df is what it says, df_corrected what it says with that
# term put right.
corrected <- gsub("eWje * e/(2 *", "eWje * e/(1 *", deparse(cAIC4:::calculateGaussianBc), fixed = TRUE)
corrected <- eval(parse(text = corrected), asNamespace("cAIC4"))
original <- cAIC4:::calculateGaussianBc
conditional <- function(data, formula, REML) {
  m <- lme4::lmer(as.formula(formula), data = get(data), REML = REML, control = tight)
  assignInNamespace("calculateGaussianBc", original, "cAIC4")
  theirs <- cAIC(m)
  assignInNamespace("calculateGaussianBc", corrected, "cAIC4")
  list(
    data = files[[data]], formula = formula, method = if (REML) "REML" else "ML",
    loglik = theirs$loglikelihood, df = theirs$df, df_corrected = cAIC(m)$df
  )
}
caic <- list()
for (REML in c(TRUE, FALSE)) {
  caic <- c(caic, list(
    conditional("sleepstudy", "Reaction ~ Days + (Days | Subject)", REML),
    conditional("sleepstudy", "Reaction ~ Days + (1 | Subject)", REML),
    conditional("machines", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", REML),
    conditional("pastes", "strength ~ 1 + (1 | batch) + (1 | batch:cask)", REML)
  ))
}

versions <- sapply(c("lme4", "lmerTest", "RLRsim", "cAIC4"), function(name) as.character(packageVersion(name)))
result <- list(
  versions = c(as.list(versions), R = as.character(getRversion())), simulations = SIMULATIONS,
  rlrt = rlrt, ranova = ranova, caic = caic
)
write_json(
  result, "tests/reference/random_effects_reference.json", auto_unbox = TRUE, digits = NA, pretty = TRUE,
  na = "null"
)
