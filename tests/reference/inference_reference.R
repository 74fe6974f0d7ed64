# Tests, degrees of freedom and intervals by lmerTest, pbkrtest, lme4, nlme and RLRsim:
# writes tests/reference/inference_reference.json. Run from the root of the repository:
#   Rscript tests/reference/inference_reference.R
# With ids as arguments only these fits are made, and nothing is written.

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
  library(jsonlite)
})
options(contrasts = c("contr.treatment", "contr.treatment"))  # ordered factors too
RNGkind("Mersenne-Twister", "Inversion", "Rejection")
source("tests/reference/optimise.R")
source("tests/reference/inference_entries.R")
source("tests/reference/inference_profiles.R")
# Functions alone of files that fit when they are run.
for (file in c("tests/reference/fit_reference.R", "tests/reference/structures_programs.R")) {
  for (statement in parse(file)) {
    if (is.call(statement) && identical(statement[[1]], as.name("<-")) && is.call(statement[[3]]) &&
          identical(statement[[3]][[1]], as.name("function"))) eval(statement)
  }
}

# The data as the engine reads them: groups and text are factors, levels in C order unless given.
read_frame <- function(entry, power = 0) {
  frame <- if (entry$data %in% names(packaged)) packaged[[entry$data]] else
    read.csv(entry$data, stringsAsFactors = FALSE)
  if (length(entry$drop)) frame <- frame[-(entry$drop + 1), ]
  formula <- as.formula(entry$formula)
  groups <- unlist(lapply(lme4::findbars(formula), function(bar) all.vars(bar[[3]])))
  for (name in names(frame)) {
    if (is.character(frame[[name]]) || name %in% c(groups, names(entry$categories))) {
      text <- as.character(frame[[name]])
      frame[[name]] <- factor(text, entry$categories[[name]] %||% sort(unique(text), method = "radix"))
    }
  }
  response <- all.vars(formula)[1]
  frame[[response]] <- frame[[response]] / 2^power
  frame
}
`%||%` <- function(x, default) if (is.null(x)) default else x

# ---- fits ----

tight <- lmerControl(
  optimizer = "nloptwrap", calc.derivs = FALSE, check.conv.singular = "ignore", check.scaleX = "ignore",
  optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, ftol_abs = 1e-14, xtol_rel = 1e-12,
                 ftol_rel = 1e-15, maxeval = 20000)
)

# lmer at the best of all optimisers and starts, sharpened by Newton steps; its call can be updated.
precise <- function(formula, frame, reml = TRUE) {
  parsed <- lFormula(formula, frame, REML = reml, control = tight)
  devfun <- do.call(mkLmerDevfun, parsed)
  start <- environment(devfun)$pp$theta + 0
  best <- best_of_few(function(theta) devfun(theta) / 2, start, parsed$reTrms$lower)
  value <- devfun(best$par)
  call <- bquote(lmer(formula = .(formula), data = current, REML = .(reml), control = tight))
  object <- mkMerMod(environment(devfun), list(par = best$par, fval = value, conv = 0, message = ""),
                     parsed$reTrms, parsed$fr, mc = call)
  free <- which(best$par > parsed$reTrms$lower)
  other <- do.call(mkLmerDevfun, parsed)
  along <- function(x) other(replace(best$par, free, x))
  gradient <- if (length(free)) numDeriv::grad(along, best$par[free]) else 0
  other(best$par)
  list(object = object, devfun = other, gradient = max(abs(gradient)), short = best$short)
}

fit_entry <- function(entry) {
  formula <- as.formula(entry$formula)
  # Units of the response with a residual SD near 1 (a power of 2: no rounding): lmerTest and pbkrtest
  # compare eigenvalues with absolute tolerances.
  power <- round(log2(sigma(suppressMessages(lmer(formula, read_frame(entry), control = tight)))))
  current <<- read_frame(entry, power)  # where update() finds it
  found <- precise(formula, current)
  lmer_test <- withCallingHandlers(
    lmerTest:::as_lmerModLT(found$object, found$devfun),
    warning = function(w) found$warning <<- conditionMessage(w)
  )
  c(found, list(test = lmer_test, unit = 2^power, frame = current))
}

# ---- what is recorded of a fit ----

hypotheses <- function(terms) {
  p <- length(terms)
  set.seed(100 + p)
  draw <- function(rows) {
    repeat {
      L <- matrix(sample(-2:2, rows * p, TRUE), rows)
      if (qr(L)$rank == rows) return(L)
    }
  }
  if (p == 1) return(list(value = list(L = matrix(1), rhs = 1)))
  made <- list(all = list(L = diag(p)), one = list(L = draw(1)), two = list(L = draw(2), rhs = c(1, -2)))
  if (p > 2) made$slopes <- list(L = diag(p)[-1, , drop = FALSE])
  if (p > 3) made$three <- list(L = draw(3))
  # Rows that repeat others: the test is that of the independent ones.
  if (p > 2) made$repeated <- list(L = rbind(made$slopes$L[1:2, ], made$slopes$L[1, ] - made$slopes$L[2, ]))
  made
}

f_test <- function(fit, L, rhs, method) {
  row <- suppressWarnings(lmerTest::contestMD(fit$test, L, rhs = rhs, ddf = method))
  done <- list(statistic = row[["F value"]], num_df = row$NumDF, den_df = row$DenDF, p_value = row[["Pr(>F)"]])
  if (method != "Kenward-Roger") return(done)
  beta <- if (all(rhs == 0)) 0 else drop(MASS::ginv(L) %*% rhs)
  direct <- pbkrtest::KRmodcomp(fit$object, L, betaH = beta)$test["Ftest", ]
  # The two programs are one computation here; a difference would be a mistake in this script.
  stopifnot(isTRUE(all.equal(c(direct$stat, direct$ddf), c(done$statistic, done$den_df), tolerance = 1e-10)))
  c(done, list(f_scaling = direct$F.scaling))
}

t_rows <- function(fit, L, method) {
  rows <- do.call(rbind, lapply(seq_len(nrow(L)), function(i) {
    lmerTest::contest1D(fit$test, L[i, ], ddf = method)
  }))
  list(estimate = I(rows$Estimate), se = I(rows[["Std. Error"]]), df = I(rows$df), t = I(rows[["t value"]]),
       p_value = I(rows[["Pr(>|t|)"]]))
}

in_units <- function(rows, unit) {
  rows$estimate <- I(rows$estimate * unit)
  rows$se <- I(rows$se * unit)
  rows
}

anova_rows <- function(fit, type, method) {
  table <- anova(fit$test, type = type, ddf = method)
  lapply(seq_len(nrow(table)), function(i) {
    list(term = rownames(table)[i], num_df = table$NumDF[i], den_df = table$DenDF[i],
         statistic = table[["F value"]][i], p_value = table[["Pr(>F)"]][i])
  })
}

ranova_rows <- function(fit) {
  table <- suppressMessages(lmerTest::ranova(fit$object))
  lapply(seq_len(nrow(table))[-1], function(i) {
    list(term = rownames(table)[i], statistic = table$LRT[i], df = table$Df[i],
         p_value = table[["Pr(>Chisq)"]][i])
  })
}

methods <- c(satterthwaite = "Satterthwaite", `kenward-roger` = "Kenward-Roger")

fit_record <- function(entry) {
  began <- proc.time()[["elapsed"]]
  fit <- fit_entry(entry)
  object <- fit$object
  p <- length(fixef(object))
  names <- names(fixef(object))
  tests <- lapply(hypotheses(names), function(h) {
    rhs <- h$rhs %||% rep(0, nrow(h$L))
    c(list(L = h$L, rhs = I(rhs)), lapply(methods, f_test, fit = fit, L = h$L, rhs = rhs / fit$unit))
  })
  blocks <- lapply(VarCorr(object), as.matrix)
  singular <- any(vapply(blocks, is_singular, NA, sigma = sigma(object)))
  done <- list(
    id = entry$id, formula = entry$formula, data = entry$data, drop = I(as.integer(entry$drop)),
    categories = structure(lapply(entry$categories, I), names = names(entry$categories) %||% character()),
    unit = fit$unit, loglik = as.numeric(logLik(object)) - (nobs(object) - p) * log(fit$unit),
    gradient = fit$gradient, singular = singular, lmertest_warning = fit$warning,
    r_terms = I(names), terms = I(formulaic_names(names, fit$frame)), sigma = sigma(object) * fit$unit,
    coefficients = lapply(methods, function(m) in_units(t_rows(fit, diag(p), m), fit$unit)),
    kr_vcov = as.matrix(pbkrtest::vcovAdj(object)) * fit$unit^2,
    tests = tests,
    anova = lapply(c(`1` = "I", `2` = "II", `3` = "III"), function(type) {
      lapply(methods, function(method) anova_rows(fit, type, method))
    }),
    ranova = ranova_rows(fit)
  )
  cat(sprintf("%-30s n %4d  gradient %.0e %s %s %.0f s\n", entry$id, nobs(object), fit$gradient,
              if (singular) "singular" else "", fit$warning %||% "", proc.time()[["elapsed"]] - began))
  done
}

# ---- intervals() of nlme: normal on its unconstrained scale, t with inner-outer df for coefficients ----

interval_record <- function(entry) {
  frame <- read_frame(entry)
  for (name in c("Subject", "Mare", "id")) if (name %in% names(frame)) frame[[name]] <- factor(frame[[name]])
  text <- c(random = entry$random, correlation = entry$residual, weights = entry$variance)
  arguments <- c(list(fixed_part(entry$formula), data = frame), lapply(text, function(t) eval(str2lang(t))))
  gls <- is.null(entry$random)
  fun <- with_best_of_few(if (gls) nlme::gls else nlme:::lme.formula, function(short) NULL)
  object <- do.call(fun, c(arguments, list(control = if (gls) glsControl() else lmeControl())))
  found <- intervals(object)
  rows <- function(part, table) {
    table <- as.matrix(table)
    lapply(seq_len(nrow(table)), function(i) {
      list(part = part, name = rownames(table)[i], estimate = table[i, 2], conf_low = table[i, 1],
           conf_high = table[i, 3])
    })
  }
  covariance <- c(
    unlist(Map(rows, names(found$reStruct), found$reStruct), recursive = FALSE, use.names = FALSE),
    if (!is.null(found$corStruct)) rows("correlation", found$corStruct),
    if (!is.null(found$varStruct)) rows("variance", found$varStruct),
    rows("sigma", matrix(found$sigma, 1, dimnames = list("sigma", NULL)))
  )
  coefficients <- if (gls) found$coef else found$fixed
  cat(sprintf("intervals %s\n", entry$id))
  list(id = entry$id, formula = entry$formula, data = entry$data, categories = entry$categories,
       nlme = as.list(text), covariance = covariance, terms = I(formulaic_names(rownames(coefficients), frame)),
       conf_low = I(unname(coefficients[, 1])), conf_high = I(unname(coefficients[, 3])),
       df = I(unname(if (gls) rep(nrow(frame) - nrow(coefficients), nrow(coefficients)) else object$fixDF$X)))
}

# ---- exact restricted likelihood ratio tests, 100,000 draws of the null distribution ----

rlrt_record <- function(test) {
  entry <- Filter(function(entry) entry$id == test$id, models)[[1]]
  current <<- read_frame(entry)
  whole <- precise(as.formula(entry$formula), current)$object
  found <- if (is.null(test$alone)) RLRsim::exactRLRT(whole, nsim = 1e5, seed = 11) else
    RLRsim::exactRLRT(precise(as.formula(test$alone), current)$object, whole,
                      precise(as.formula(test$without), current)$object, nsim = 1e5, seed = 11)
  tested(test[c("id", "term")], found)
}

tested <- function(test, found) {
  cat(sprintf("exact test %s %g\n", test$id, found$p.value))
  c(test, list(statistic = unname(found$statistic), p_value = found$p.value, draws = 1e5))
}

lrt_record <- function(id) {
  entry <- Filter(function(entry) entry$id == id, models)[[1]]
  current <<- read_frame(entry)
  object <- precise(as.formula(entry$formula), current, FALSE)$object
  null <- lm(fixed_part(entry$formula), current)
  tested(list(id = id), RLRsim::exactLRT(object, null, nsim = 1e5, seed = 11))
}

# ---- all of it ----

wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted)) models <- Filter(function(entry) entry$id %in% wanted, models)
fits <- lapply(models, fit_record)
if (!length(wanted)) {
  rest <- list(
    profiles = lapply(profile_models, profile_record),
    intervals = lapply(interval_models, interval_record),
    rlrt = lapply(rlrt_models, rlrt_record), lrt = lapply(lrt_models, lrt_record)
  )
  packages <- c("lme4", "nlme", "lmerTest", "pbkrtest", "RLRsim", "Matrix", "nloptr", "numDeriv")
  versions <- c(R = as.character(getRversion()),
                sapply(packages, function(name) as.character(packageVersion(name))))
  used <- packaged[intersect(names(packaged), vapply(models, function(entry) entry$data, ""))]
  json <- toJSON(c(list(versions = as.list(versions), data = used, fits = fits), rest), dataframe = "columns",
                 auto_unbox = TRUE, null = "null", na = "null", digits = I(17))
  # One line an entry: exact numbers in a file that can be compared.
  json <- gsub("},{\"id\":", "},\n{\"id\":", json, fixed = TRUE)
  writeLines(json, "tests/reference/inference_reference.json")
}
