# One model by lme4 or nlme, at the best parameters found, in one shape for both programs.
# fit_lme4(entry, frame, reml) and fit_nlme(...) return a list:
#   object; sigma; rho (NULL without AR(1)); psi, the covariance of the random effects, and ranef, one row
#   a subject (NULL without a random term); beta; vcov; fitted; population (fitted by the fixed part only);
#   short, by how much each optimiser misses the best log-likelihood; shipped, what the program says with
#   its default settings; r_call.

# "y ~ x + (z || g)" -> list(fixed = "y ~ x", z = "z", bar = "||", group = "g"); without a random term
# z, bar and group are NULL.
split_formula <- function(formula) {
  pattern <- "^(.*?) \\+ \\((.+) (\\|\\|?) (\\w+)\\)$"
  parts <- regmatches(formula, regexec(pattern, formula, perl = TRUE))[[1]]
  if (!length(parts)) return(list(fixed = formula))
  list(fixed = parts[2], z = parts[3], bar = parts[4], group = parts[5])
}

# The log-likelihood of a default call, or its error message.
shipped <- function(label, call) {
  warned <- NULL
  object <- tryCatch(
    withCallingHandlers(call(), warning = function(w) {
      warned <<- conditionMessage(w)
      invokeRestart("muffleWarning")
    }, message = function(m) {
      warned <<- trimws(conditionMessage(m))
      invokeRestart("muffleMessage")
    }),
    error = identity
  )
  failed <- inherits(object, "error")
  list(call = label, loglik = if (!failed) as.numeric(logLik(object)),
       message = if (failed) paste("error:", conditionMessage(object)) else warned)
}

fit_lme4 <- function(entry, frame, reml) {
  formula <- as.formula(entry$formula)
  centred <- frame
  for (name in names(entry$centre)) centred[[name]] <- frame[[name]] - entry$centre[[name]]
  parsed <- lFormula(formula, centred, REML = reml, control = lmerControl(check.scaleX = "ignore"))
  devfun <- do.call(mkLmerDevfun, parsed)
  best <- best_of(function(theta) devfun(theta) / 2, environment(devfun)$pp$theta, parsed$reTrms$lower)
  value <- devfun(best$par)
  object <- mkMerMod(environment(devfun), list(par = best$par, fval = value, conv = 0, message = ""),
                     parsed$reTrms, parsed$fr)
  blocks <- lapply(VarCorr(object), as.matrix)
  psi <- as.matrix(Matrix::bdiag(blocks))
  dimnames(psi) <- rep(list(unlist(lapply(blocks, rownames), use.names = FALSE)), 2)
  list(
    object = object, sigma = sigma(object), psi = psi, rho = NULL, ranef = as.matrix(ranef(object)[[1]]),
    fitted = fitted(object), population = as.vector(getME(object, "X") %*% fixef(object)),
    beta = fixef(object), vcov = as.matrix(vcov(object)), short = best$short,
    shipped = list(shipped("lmer(), default control", function() {
      lmer(formula, frame, REML = reml)
    })),
    r_call = sprintf("lmer(%s, REML = %s)", entry$formula, reml)
  )
}

# nlme's own function with best_of() in the place of nlminb(): the objective, and all that follows from
# the optimum, stay nlme's.
with_best_of <- function(fun, record) {
  minimiser <- function(start, objective, ...) {
    best <- best_of(objective, start)
    record(best$short)
    list(par = best$par, objective = best$value, convergence = 0, message = "")
  }
  environment(fun) <- list2env(list(nlminb = minimiser), parent = environment(fun))
  fun
}

fit_nlme <- function(entry, frame, reml, correlation = "corAR1") {
  method <- if (reml) "REML" else "ML"
  part <- split_formula(entry$formula)
  fixed <- as.formula(part$fixed)
  serial_text <- sprintf("%s(form = ~ %s | %s)", correlation, entry$ar1[1], entry$ar1[2])
  start <- if (correlation == "corCAR1") 0.3 else 0
  serial <- get(correlation)(start, form = as.formula(sprintf("~ %s | %s", entry$ar1[1], entry$ar1[2])))
  short <- NULL
  record <- function(values) short <<- values
  if (is.null(part$z)) {
    call <- function(fun, ...) fun(fixed, data = frame, correlation = serial, method = method, ...)
    object <- call(with_best_of(nlme::gls, record), control = glsControl(apVar = FALSE))
    defaults <- list(
      shipped("gls(), default control", function() call(nlme::gls)),
      shipped("gls(), opt = 'optim'", function() call(nlme::gls, control = glsControl(opt = "optim")))
    )
    # vcov() of an ML gls carries the factor N / (N - p); the ML covariance does not.
    p <- length(coef(object))
    vcov <- vcov(object) * (if (reml) 1 else (nrow(frame) - p) / nrow(frame))
    effects <- list(fitted = fitted(object), population = fitted(object), beta = coef(object))
    r_call <- sprintf("gls(%s, correlation = %s, method = '%s')", part$fixed, serial_text, method)
  } else {
    pd <- if (part$bar == "||") "pdDiag" else "pdLogChol"
    random <- setNames(list(get(pd)(as.formula(paste("~", part$z)))), part$group)
    call <- function(fun, ...) {
      fun(fixed, data = frame, random = random, correlation = serial, method = method, ...)
    }
    object <- call(with_best_of(nlme:::lme.formula, record), control = lmeControl(apVar = FALSE))
    defaults <- list(
      shipped("lme(), default control", function() call(nlme::lme)),
      shipped("lme(), opt = 'optim'", function() call(nlme::lme, control = lmeControl(opt = "optim")))
    )
    psi <- unclass(getVarCov(object))
    psi <- matrix(psi, nrow(psi), dimnames = dimnames(psi))
    vcov <- vcov(object)
    effects <- list(psi = psi, ranef = as.matrix(ranef(object)), beta = fixef(object),
                    fitted = fitted(object, level = 1), population = fitted(object, level = 0))
    r_call <- sprintf("lme(%s, random = list(%s = %s(~ %s)), correlation = %s, method = '%s')",
                      part$fixed, part$group, pd, part$z, serial_text, method)
  }
  rho <- as.numeric(coef(object$modelStruct$corStruct, unconstrained = FALSE))
  c(list(object = object, sigma = sigma(object), rho = rho, vcov = vcov, short = short,
         shipped = defaults, r_call = r_call), effects)
}
