# The fits of benchmarks/overhead.py in one R process: Rscript benchmarks/peers/study.R FOLDER
# For each CSV file five models by ML and by REML, the AIC of the former, the table of the latter.

library(nlme)
quiet <- function(code) suppressMessages(suppressWarnings(code))
patient <- lmeControl(maxIter = 200, msMaxIter = 200, returnObject = TRUE)

mixed <- function(formula) {
  function(d) {
    ml <- quiet(lme4::lmer(formula, d, REML = FALSE))
    reml <- quiet(lmerTest::lmer(formula, d))
    list(AIC(ml), coef(summary(reml)), as.data.frame(lme4::VarCorr(reml)))
  }
}
serial <- function(fit) {
  function(d) {
    ml <- quiet(fit(d, "ML"))
    reml <- quiet(fit(d, "REML"))
    list(AIC(ml), summary(reml)$tTable, reml$sigma)
  }
}

models <- list(
  random_intercept = mixed(y ~ t + (1 | id)),
  random_slope = mixed(y ~ t + (1 + t | id)),
  uncorrelated_slope = mixed(y ~ t + (1 + t || id)),
  ar1 = serial(function(d, method) gls(y ~ t, d, correlation = corAR1(form = ~ t | id), method = method)),
  random_intercept_ar1 = serial(function(d, method) {
    lme(y ~ t, d, ~ 1 | id, correlation = corAR1(form = ~ t | id), method = method, control = patient)
  })
)

failed <- 0
for (file in list.files(commandArgs(TRUE)[1], full.names = TRUE)) {
  d <- read.csv(file)
  d$id <- factor(d$id)
  for (model in models) {
    found <- try(model(d), silent = TRUE)
    failed <- failed + inherits(found, "try-error")
  }
}
cat(failed, "fits failed\n")
