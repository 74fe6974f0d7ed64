# One model of the second battery by lme4, gls or lme, at the best parameters found, in one shape:
#   object; sigma; residual and variance, named natural parameters; psi, the covariances of the random effects,
#   one matrix a term in a list named by grouping factor; beta; vcov; fitted; loglik; npar;
#   short, by how much each optimiser misses the best log-likelihood; shipped, what the default call says; r_call.

# Minimise f from `start` and perturbed starts by the optimisers of optimise.R, fewer of them than there:
# there are more parameters here. NLopt's searches need no derivatives, but only few parameters.
best_of_few <- function(f, start, lower = rep(-Inf, length(start))) {
  safe <- function(par) {
    value <- tryCatch(suppressWarnings(f(par)), error = function(e) NA_real_)
    if (is.finite(value)) value else 1e10
  }
  set.seed(1)
  few <- length(start) <= 6
  starts <- c(list(start), lapply(if (few) c(.5, 1) else .3, function(sd) {
    pmax(start + rnorm(length(start), sd = sd), lower)
  }))
  optimisers <- list(
    nlminb = function(par) {
      nlminb(par, safe, lower = lower,
             control = list(eval.max = 2000, iter.max = 2000, rel.tol = 1e-14, x.tol = 1e-12))$par
    },
    optim = function(par) {
      optim(par, safe, method = "L-BFGS-B", lower = lower, control = list(maxit = 500, factr = 10, pgtol = 0))$par
    }
  )
  if (few) {
    optimisers$BOBYQA <- function(par) nloptr_minimum("NLOPT_LN_BOBYQA", safe, par, lower)
  }
  found <- numeric()
  best <- list(par = start, value = safe(start))
  for (name in names(optimisers)) {
    for (par in starts) {
      end <- tryCatch(optimisers[[name]](par), error = function(e) par)
      found[name] <- min(found[name], safe(end), na.rm = TRUE)
      if (safe(end) < best$value) best <- list(par = end, value = safe(end))
    }
  }
  best <- newton(safe, zero_bounds(safe, best, lower), lower)
  c(best, list(short = found - best$value))
}

# nlme's function with best_of_few() in the place of nlminb().
with_best_of_few <- function(fun, record) {
  minimiser <- function(start, objective, ...) {
    best <- best_of_few(objective, start)
    record(best$short)
    list(par = best$par, objective = best$value, convergence = 0, message = "")
  }
  environment(fun) <- list2env(list(nlminb = minimiser), parent = environment(fun))
  fun
}

fixed_part <- function(formula) lme4::nobars(as.formula(formula))

# lme4 writes "b:a" or "c:(b:a)" for a/b/c, and "g.1" for a second term of g.
group_of <- function(name, formula) {
  pieces <- strsplit(gsub("[()]|\\.[0-9]+$", "", name), "[:.]")[[1]]
  paste(if (grepl("/", formula, fixed = TRUE)) rev(pieces) else pieces, collapse = ":")
}

fit_structure_lme4 <- function(entry, frame, reml) {
  original <- frame
  for (name in names(entry$scale)) frame[[name]] <- frame[[name]] * entry$scale[[name]]
  extra <- Map(as.name, entry[intersect(c("weights", "offset"), names(entry))])
  arguments <- c(list(as.formula(entry$formula), quote(frame), REML = reml), extra)
  relaxed <- list(control = quote(lmerControl(check.scaleX = "ignore")))
  parsed <- eval(as.call(c(list(quote(lFormula)), arguments, relaxed)))
  devfun <- do.call(mkLmerDevfun, parsed)
  best <- best_of_few(function(theta) devfun(theta) / 2, environment(devfun)$pp$theta, parsed$reTrms$lower)
  value <- devfun(best$par)
  object <- mkMerMod(environment(devfun), list(par = best$par, fval = value, conv = 0, message = ""),
                     parsed$reTrms, parsed$fr)
  psi <- lapply(VarCorr(object), as.matrix)
  names(psi) <- vapply(names(psi), group_of, "", formula = entry$formula)
  text <- paste(c(entry$formula, paste(names(extra), "=", extra), paste("REML =", reml)), collapse = ", ")
  rescale(list(
    object = object, sigma = sigma(object), psi = psi, beta = fixef(object), vcov = as.matrix(vcov(object)),
    fitted = unname(fitted(object)), loglik = as.numeric(logLik(object)), npar = attr(logLik(object), "df"),
    short = best$short,
    shipped = list(shipped("lmer(), default control", function() {
      eval(as.call(c(list(quote(lmer)), arguments)), list(frame = original))
    })),
    r_call = sprintf("lmer(%s)", text)
  ), entry$scale, reml)
}

# From results at x * scale to results at x.
rescale <- function(fit, scale, reml) {
  factors <- function(names) vapply(names, function(name) if (is.null(scale[[name]])) 1 else scale[[name]], 1)
  d <- factors(names(fit$beta))
  fit$beta <- fit$beta * d
  fit$vcov <- fit$vcov * outer(d, d)
  fit$psi <- lapply(fit$psi, function(psi) psi * outer(factors(rownames(psi)), factors(rownames(psi))))
  # The restricted likelihood holds log|X' V^-1 X|.
  if (reml) fit$loglik <- fit$loglik + sum(log(d))
  fit
}

fit_structure_nlme <- function(entry, frame, reml) {
  method <- if (reml) "REML" else "ML"
  fixed <- fixed_part(entry$formula)
  # Arguments as text, evaluated here, so that the call of the record is the call that ran.
  residual <- entry$residual
  variances <- c(residual$by_visit, entry$variance$r)
  text <- c(random = entry$random, correlation = residual$r, weights = variances)
  arguments <- c(list(fixed, data = frame, method = method), lapply(text, function(t) eval(str2lang(t))))
  if (!is.null(entry$random) && !startsWith(entry$random, "list")) arguments$random <- as.formula(entry$random)
  name <- if (is.null(entry$random)) "gls" else "lme"
  shipped_fun <- if (name == "gls") nlme::gls else nlme:::lme.formula
  # With variances by fitted values nlme alternates between the fit and the values.
  control <- if (name == "gls") glsControl(apVar = FALSE, tolerance = 1e-9, maxIter = 200) else
    lmeControl(apVar = FALSE, tolerance = 1e-9, maxIter = 200)
  short <- NULL
  record <- function(values) short <<- values
  object <- do.call(with_best_of_few(shipped_fun, record), c(arguments, list(control = control)))
  sigma <- sigma(object)
  if (name == "gls") {
    p <- length(coef(object))
    # vcov() of an ML gls carries the factor N / (N - p); the ML covariance does not.
    effects <- list(beta = coef(object), vcov = vcov(object) * (if (reml) 1 else (nrow(frame) - p) / nrow(frame)),
                    psi = list(), fitted = as.numeric(fitted(object)))
  } else {
    blocks <- rev(lapply(object$modelStruct$reStruct, as.matrix))  # outermost first
    psi <- lapply(blocks, function(block) block * sigma^2)
    names(psi) <- Reduce(function(a, b) paste(a, b, sep = ":"), names(blocks), accumulate = TRUE)
    effects <- list(beta = fixef(object), vcov = vcov(object), psi = psi, fitted = as.numeric(fitted(object)))
  }
  natural <- natural_parameters(object, entry, frame, sigma)
  shown <- c(deparse1(fixed), paste(names(text), "=", text), sprintf("method = '%s'", method))
  c(list(object = object, loglik = as.numeric(logLik(object)), npar = attr(logLik(object), "df"), short = short,
         shipped = list(shipped(paste0(name, "(), default control"), function() do.call(shipped_fun, arguments))),
         r_call = sprintf("%s(%s)", name, paste(shown, collapse = ", "))), natural, effects)
}

# sigma, and the parameters of the residual and the variance structure by the engine's names.
natural_parameters <- function(object, entry, frame, sigma) {
  struct <- object$modelStruct
  values <- if (!is.null(struct$corStruct)) unname(coef(struct$corStruct, unconstrained = FALSE))
  type <- entry$residual$type
  residual <- list()
  if (identical(type, "toeplitz")) {
    steps <- seq_len(entry$residual$lags)
    gaps <- steps * min(diff(sort(unique(frame[[entry$residual$time]]))))
    residual <- setNames(as.list(unname(ARMAacf(values, lag.max = max(steps))[-1])), sprintf("rho(%g)", gaps))
  } else if (identical(type, "unstructured")) {
    visits <- sort(unique(frame[[entry$residual$time]]))
    sd <- coef(struct$varStruct, unconstrained = FALSE, allCoef = TRUE)[as.character(visits)]
    sigma <- sigma * sd[[1]]
    pairs <- combn(length(visits), 2)  # in the order (1,2), (1,3), ..., as corSymm keeps them
    residual <- c(
      setNames(as.list(unname(sd[-1] / sd[1])), sprintf("sd(%g)/sd(%g)", visits[-1], visits[1])),
      setNames(as.list(values), sprintf("cor(%g,%g)", visits[pairs[1, ]], visits[pairs[2, ]]))
    )
  } else if (!is.null(type)) {
    ranged <- type %in% c("exponential", "gaussian")
    residual <- setNames(as.list(values), c(if (ranged) "range" else "rho", if (entry$residual$nugget) "nugget"))
  }
  variance <- list()
  if (identical(entry$variance$type, "by_group")) {
    levels <- levels(frame[[entry$variance$of]])
    sd <- coef(struct$varStruct, unconstrained = FALSE, allCoef = TRUE)[levels]
    sigma <- sigma * sd[[1]]
    variance <- setNames(as.list(unname(sd[-1] / sd[1])), sprintf("sd(%s)/sd(%s)", levels[-1], levels[1]))
  } else if (!is.null(entry$variance)) {
    variance <- list(power = unname(coef(struct$varStruct, unconstrained = FALSE, allCoef = TRUE)))
  }
  list(sigma = sigma, residual = residual, variance = variance)
}

# Random-walk residuals become independent ones when each row gives way to its increment, divided by the root
# of the time passed: then the model is one of lm, or of lme4 with random slopes on the changed columns.
fit_random_walk <- function(entry, frame, reml) {
  time <- frame[[entry$residual$time]]
  subject <- frame[[entry$residual$subject]]
  sorted <- order(subject, time)
  frame <- frame[sorted, ]
  time <- frame[[entry$residual$time]]
  subject <- frame[[entry$residual$subject]]
  first <- !duplicated(subject)
  passed <- ifelse(first, time, c(0, diff(time)))
  increments <- function(x) ifelse(first, x, c(0, diff(x))) / sqrt(passed)
  X <- model.matrix(fixed_part(entry$formula), frame)
  response <- all.vars(as.formula(entry$formula))[1]
  y <- increments(frame[[response]])
  white <- setNames(as.data.frame(apply(X, 2, increments)), paste0("x", seq_len(ncol(X))))
  white <- cbind(white, y = y, subject = subject)
  jacobian <- -sum(log(passed)) / 2
  fixed <- paste("y ~ 0 +", paste0("x", seq_len(ncol(X)), collapse = " + "))
  bars <- lme4::findbars(as.formula(entry$formula))
  common <- list(residual = list(), variance = list())
  if (!length(bars)) {
    object <- lm(as.formula(fixed), white)
    p <- ncol(X)
    n <- nrow(X)
    sigma <- sqrt(sum(resid(object)^2) / (n - if (reml) p else 0))
    loglik <- logLik(object, REML = reml)
    return(c(common, list(
      sigma = sigma, psi = list(), beta = setNames(coef(object), colnames(X)),
      vcov = summary(object)$cov.unscaled * sigma^2, fitted = as.vector(X %*% coef(object))[order(sorted)],
      loglik = as.numeric(loglik) + jacobian, npar = attr(loglik, "df"), short = NULL, shipped = list(),
      r_call = sprintf("lm(increments of %s)", entry$formula)
    )))
  }
  # One random effect, of a column of X: (1 | g) or (0 + x | g).
  effect <- sub("^0 \\+ ", "", deparse(bars[[1]][[2]]))
  column <- match(if (effect == "1") "(Intercept)" else effect, colnames(X))
  stopifnot(length(bars) == 1, !is.na(column))
  fit <- fit_structure_lme4(list(formula = sprintf("%s + (0 + x%d | subject)", fixed, column)), white, reml)
  names(fit$beta) <- colnames(X)
  b <- ranef(fit$object)[[1]][as.character(subject), 1]
  fit$fitted <- as.vector(X %*% fit$beta + X[, column] * b)[order(sorted)]
  names(fit$psi) <- entry$residual$subject
  dimnames(fit$psi[[1]]) <- rep(list(colnames(X)[column]), 2)
  fit$loglik <- fit$loglik + jacobian
  fit$r_call <- sprintf("lmer(increments of %s)", entry$formula)
  c(fit, common)
}
