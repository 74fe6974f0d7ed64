# Fit every model of structures_entries.R by ML and REML and write tests/reference/structures_reference.json.
# Run from the root of the repository, after make_structures_data.R:
#   Rscript tests/reference/structures.R
# With ids of models as arguments only these are fitted, and nothing is written.

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
  library(jsonlite)
})
source("tests/reference/optimise.R")
source("tests/reference/programs.R")
# fit_reference.R fits when it is run: only its functions are wanted here.
for (statement in parse("tests/reference/fit_reference.R")) {
  if (is.call(statement) && identical(statement[[1]], as.name("<-")) && is.call(statement[[3]]) &&
        identical(statement[[3]][[1]], as.name("function"))) eval(statement)
}
source("tests/reference/structures_entries.R")
source("tests/reference/structures_programs.R")

# The CSV as the engine reads it: groups and text are factors, levels in C order unless given.
read_table <- function(entry) {
  frame <- read.csv(entry$data, stringsAsFactors = FALSE)
  bars <- lme4::findbars(as.formula(entry$formula))
  groups <- c(unlist(lapply(bars, function(bar) all.vars(bar[[3]]))), entry$residual$subject)
  for (name in names(frame)) {
    if (is.character(frame[[name]]) || name %in% c(groups, names(entry$categories))) {
      text <- as.character(frame[[name]])
      frame[[name]] <- factor(text, entry$categories[[name]] %||% sort(unique(text), method = "radix"))
    }
  }
  frame
}

structure_result <- function(entry, reml) {
  frame <- read_table(entry)
  walk <- identical(entry$residual$type, "random_walk")
  by_lme4 <- is.null(entry$residual) && is.null(entry$variance)
  fun <- if (walk) fit_random_walk else if (by_lme4) fit_structure_lme4 else fit_structure_nlme
  began <- proc.time()[["elapsed"]]
  fit <- fun(entry, frame, reml)
  rows <- unique(c(1, 2, nrow(frame) %/% 2, nrow(frame)))
  shipped <- lapply(fit$shipped, function(run) {
    c(run, list(shortfall = if (!is.null(run$loglik)) fit$loglik - run$loglik))
  })
  varcorr <- unlist(Map(varcorr_rows, fit$psi, names(fit$psi), list(frame)), recursive = FALSE, use.names = FALSE)
  empty <- setNames(list(), character())
  done <- list(
    id = paste0(entry$id, if (reml) "_reml" else "_ml"), category = entry$category,
    program = if (by_lme4) "lme4" else if (walk) "whitened" else "nlme", r_call = fit$r_call,
    formula = entry$formula, method = if (reml) "REML" else "ML", data = entry$data,
    residual = entry$residual[c("type", "time", "subject", "nugget")],
    variance = entry$variance[c("type", "of")], weights = entry$weights, offset = entry$offset,
    categories = structure(lapply(entry$categories, I), names = names(entry$categories) %||% character()),
    scale = entry$scale,
    loglik = fit$loglik, npar = fit$npar, nobs = nrow(frame),
    r_terms = I(names(fit$beta)), terms = I(formulaic_names(names(fit$beta), frame)),
    beta = I(unname(fit$beta)), se = I(unname(sqrt(diag(fit$vcov)))), sigma = fit$sigma,
    residual_parameters = if (length(fit$residual)) fit$residual else empty,
    variance_parameters = if (length(fit$variance)) fit$variance else empty,
    varcorr = varcorr %||% list(), singular = any(vapply(fit$psi, is_singular, NA, sigma = fit$sigma)),
    rows = I(rows - 1), fitted = I(fit$fitted[rows]),
    optimiser_shortfall = if (length(fit$short)) as.list(fit$short) else empty, shipped = shipped
  )
  cat(sprintf("%-44s %16.8f %5.1f s%s\n", done$id, done$loglik, proc.time()[["elapsed"]] - began,
              if (done$singular) "  singular" else ""))
  done
}

wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted)) models <- Filter(function(entry) entry$id %in% wanted, models)
entries <- list()
for (entry in models) {
  for (reml in c(FALSE, TRUE)) entries <- c(entries, list(structure_result(entry, reml)))
}
packages <- c("lme4", "nlme", "Matrix", "nloptr", "numDeriv")
versions <- c(R = as.character(getRversion()),
              sapply(packages, function(name) as.character(packageVersion(name))))
json <- toJSON(list(versions = as.list(versions), entries = entries),
               auto_unbox = TRUE, null = "null", na = "null", digits = NA, pretty = 1)
if (!length(wanted)) writeLines(json, "tests/reference/structures_reference.json")
