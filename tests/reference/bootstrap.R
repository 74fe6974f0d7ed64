# Quantiles of lme4's parametric bootstrap, and limits of boot.ci, for tests/engine/test_bootstrap_against_r.py.
# Run from the root of the repository, after make_structures_data.R:  Rscript tests/reference/bootstrap.R
# About two minutes. Writes tests/reference/bootstrap_reference.json.

suppressPackageStartupMessages({
  library(lme4)
  library(boot)
  library(jsonlite)
})

probabilities <- c(0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
entries <- list(
  list(id = "sleepstudy", data = "data/raw/sleepstudy.csv", REML = TRUE,
       formula = "Reaction ~ Days + (Days | Subject)"),
  list(id = "unbalanced", data = "tests/reference/data/unbalanced.csv", REML = TRUE,
       formula = "y ~ time * group + (time | id)"),
  list(id = "dyestuff", data = "tests/reference/data/dyestuff.csv", REML = FALSE,
       formula = "Yield ~ 1 + (1 | Batch)"),
  list(id = "pastes", data = "tests/reference/data/pastes.csv", REML = TRUE,
       formula = "strength ~ 1 + (1 | batch/cask)")
)
replicates <- 2000

# Fixed effects, SDs and correlations in lme4's order, sigma.
parameters <- function(fit) c(fixef(fit), as.data.frame(VarCorr(fit), order = "lower.tri")$sdcor)

one <- function(entry) {
  frame <- read.csv(entry$data, stringsAsFactors = TRUE)
  control <- lmerControl(check.conv.singular = "ignore", optimizer = "bobyqa",
                         optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
  fit <- lmer(as.formula(entry$formula), frame, REML = entry$REML, control = control)
  drawn <- bootMer(fit, parameters, nsim = replicates, seed = 20240607)
  t <- drawn$t
  named <- as.data.frame(VarCorr(fit), order = "lower.tri")
  is_sd <- c(rep(FALSE, length(fixef(fit))), is.na(named$var2))
  list(
    id = entry$id, data = entry$data, formula = entry$formula, method = if (entry$REML) "REML" else "ML",
    replicates = nrow(t),
    fixed = I(names(fixef(fit))),
    random = lapply(seq_len(nrow(named)), function(row) as.list(named[row, c("grp", "var1", "var2")])),
    estimate = unname(drawn$t0),
    # the share of SDs below 1e-4 sigma, lme4's zero
    zero = ifelse(is_sd, unname(colMeans(t < 1e-4 * drawn$t0[length(drawn$t0)], na.rm = TRUE)), NA),
    defined = unname(colMeans(is.finite(t))),
    quantiles = unname(apply(t, 2, quantile, probabilities, names = FALSE, na.rm = TRUE, type = 6))
  )
}

# Limits of a skew statistic from given replicates and leave-out estimates.
limits <- function() {
  set.seed(7)
  x <- round(rexp(40), 4)
  statistic <- function(x) sd(x)
  t <- round(replicate(999, statistic(sample(x, replace = TRUE))), 6)
  left_out <- round(vapply(seq_along(x), function(i) statistic(x[-i]), 0), 6)
  drawn <- boot(x, function(x, i) statistic(x[i]), R = 999)
  drawn$t <- matrix(t)
  influence <- (length(x) - 1) * (mean(left_out) - left_out)
  found <- boot.ci(drawn, conf = c(0.8, 0.9), type = c("perc", "basic", "bca"), L = influence)
  list(estimate = statistic(x), replicates = t, left_out = left_out, conf_level = c(0.8, 0.9),
       percentile = found$percent[, 4:5], basic = found$basic[, 4:5], bca = found$bca[, 4:5])
}

result <- list(
  made_by = paste0("R ", getRversion(), ", lme4 ", packageVersion("lme4"), ", boot ", packageVersion("boot")),
  probabilities = probabilities,
  entries = lapply(entries, one),
  limits = limits()
)
writeLines(toJSON(result, auto_unbox = TRUE, digits = 10, na = "null", pretty = TRUE),
           "tests/reference/bootstrap_reference.json")
