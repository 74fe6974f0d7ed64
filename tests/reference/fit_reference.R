# Fit every model of entries.R by ML and REML and write tests/reference/lmm_reference.json.
# Run from the root of the repository, after make_data.R:  Rscript tests/reference/fit_reference.R

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
  library(jsonlite)
})
source("tests/reference/entries.R")
source("tests/reference/optimise.R")
source("tests/reference/programs.R")

`%||%` <- function(x, default) if (is.null(x)) default else x

# The CSV as the engine reads it: the groups and all text are factors, levels in C order unless given.
read_frame <- function(entry) {
  frame <- read.csv(entry$data, stringsAsFactors = FALSE)
  groups <- c(split_formula(entry$formula)$group, entry$ar1[2])
  for (name in names(frame)) {
    if (is.character(frame[[name]]) || name %in% c(groups, names(entry$categories))) {
      text <- as.character(frame[[name]])
      levels <- entry$categories[[name]] %||% sort(unique(text), method = "radix")
      frame[[name]] <- factor(text, levels)
    }
  }
  frame
}

# Undo the centring of x in results on (1, x - centre): beta and the random effects change linearly, M.
uncentre <- function(fit, centre) {
  if (is.null(centre)) return(fit)
  M <- matrix(c(1, 0, -centre[[1]], 1), 2)
  carry <- function(covariance) structure(M %*% covariance %*% t(M), dimnames = dimnames(covariance))
  fit$beta <- setNames(as.vector(M %*% fit$beta), names(fit$beta))
  fit$ranef <- structure(fit$ranef %*% t(M), dimnames = dimnames(fit$ranef))
  fit$vcov <- carry(fit$vcov)
  fit$psi <- carry(fit$psi)
  fit
}

# R's column names as formulaic writes them: "(Intercept)" -> "Intercept", "SexMale" -> "Sex[T.Male]"
# (or "Sex[Male]" when the factor is coded by all its levels), "I(time^2)" -> "I(time ** 2)".
formulaic_names <- function(names, frame) {
  factors <- Filter(is.factor, frame)
  columns <- strsplit(names, ":", fixed = TRUE)
  partners <- vapply(columns, length, 1L)
  one <- function(piece, order) {
    if (piece == "(Intercept)") return("Intercept")
    for (name in names(factors)) {
      levels <- levels(factors[[name]])
      if (piece %in% paste0(name, levels)) {
        all_levels <- paste0(name, levels[1]) %in% unlist(columns[partners == order])
        return(paste0(name, if (all_levels) "[" else "[T.", substring(piece, nchar(name) + 1), "]"))
      }
    }
    gsub("^", " ** ", piece, fixed = TRUE)
  }
  mapply(function(pieces, order) paste(vapply(pieces, one, "", order = order), collapse = ":"),
         columns, partners)
}

varcorr_rows <- function(psi, group, frame) {
  if (is.null(psi)) return(list())
  terms <- formulaic_names(rownames(psi), frame)
  rows <- list()
  for (i in seq_along(terms)) {
    for (j in seq_len(i)) {
      rows <- c(rows, list(list(group = group, term1 = terms[j], term2 = if (i != j) terms[i],
                                covariance = psi[i, j])))
    }
  }
  rows
}

blup_rows <- function(ranef, frame) {
  if (is.null(ranef)) return(list())
  terms <- formulaic_names(colnames(ranef), frame)
  levels <- sort(rownames(ranef), method = "radix")
  rows <- list()
  for (level in unique(c(head(levels, 3), tail(levels, 1)))) {
    for (k in seq_along(terms)) {
      rows <- c(rows, list(list(level = level, term = terms[k], estimate = ranef[level, k])))
    }
  }
  rows
}

is_singular <- function(psi, sigma) {
  if (is.null(psi)) return(FALSE)
  scale <- sqrt(diag(psi))
  any(scale < 1e-4 * sigma) || min(eigen(psi / outer(scale, scale), TRUE, TRUE)$values) < 1e-6
}

result <- function(entry, reml) {
  frame <- read_frame(entry)
  fit <- if (is.null(entry$ar1)) fit_lme4(entry, frame, reml) else fit_nlme(entry, frame, reml)
  loglik <- logLik(fit$object)
  singular <- is_singular(fit$psi, fit$sigma)
  fit <- uncentre(fit, entry$centre)
  rows <- unique(c(1, 2, nrow(frame) %/% 2, nrow(frame)))
  car1 <- if (!is.null(fit$rho) && fit$rho > 0) fit_nlme(entry, frame, reml, "corCAR1")
  shipped <- lapply(fit$shipped, function(run) {
    c(run, list(shortfall = if (!is.null(run$loglik)) as.numeric(loglik) - run$loglik))
  })
  list(
    id = paste0(entry$id, if (reml) "_reml" else "_ml"),
    program = if (is.null(entry$ar1)) "lme4" else "nlme", r_call = fit$r_call,
    r_centre = entry$centre,
    formula = entry$formula, method = if (reml) "REML" else "ML", data = entry$data,
    residual = if (!is.null(entry$ar1)) list(type = "ar1", time = entry$ar1[1], subject = entry$ar1[2]),
    categories = structure(lapply(entry$categories, I),
                           names = names(entry$categories) %||% character()),
    loglik = as.numeric(loglik), npar = attr(loglik, "df"), nobs = nrow(frame),
    aic = AIC(fit$object), bic = BIC(fit$object), bic_n = attr(loglik, "nobs"),
    r_terms = I(names(fit$beta)), terms = I(formulaic_names(names(fit$beta), frame)),
    beta = I(unname(fit$beta)), se = I(unname(sqrt(diag(fit$vcov)))),
    sigma = fit$sigma, rho = fit$rho,
    varcorr = varcorr_rows(fit$psi, split_formula(entry$formula)$group, frame),
    singular = singular, ranef = blup_rows(fit$ranef, frame), rows = I(rows - 1),
    fitted = I(unname(fit$fitted[rows])), fitted_population = I(unname(fit$population[rows])),
    optimiser_shortfall = as.list(fit$short), shipped = shipped,
    car1 = if (!is.null(car1)) list(loglik = as.numeric(logLik(car1$object)), rho = car1$rho)
  )
}

entries <- list()
for (entry in models) {
  for (reml in c(FALSE, TRUE)) {
    done <- result(entry, reml)
    cat(sprintf("%-34s %16.8f%s\n", done$id, done$loglik, if (done$singular) "  singular" else ""))
    entries <- c(entries, list(done))
  }
}
packages <- c("lme4", "nlme", "Matrix", "nloptr", "numDeriv")
versions <- c(R = as.character(getRversion()),
              sapply(packages, function(name) as.character(packageVersion(name))))
json <- toJSON(list(versions = as.list(versions), entries = entries),
               auto_unbox = TRUE, null = "null", na = "null", digits = NA, pretty = 1)
writeLines(json, "tests/reference/lmm_reference.json")
