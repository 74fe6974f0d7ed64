# Profile likelihood intervals of one model: by root finding on lme4's deviance, and by confint().

# Deviance (REML criterion) as a function of standard deviations, correlations and sigma, beta at its best.
# lme4's devfun has sigma at its best; that is undone here.
unprofiled <- function(parsed) {
  devfun <- do.call(mkLmerDevfun, parsed)
  state <- environment(devfun)
  nu <- nrow(parsed$X) - (parsed$REML > 0) * ncol(parsed$X)
  sizes <- vapply(parsed$reTrms$cnms, length, 1L)
  function(par) {
    sigma <- par[length(par)]
    theta <- numeric()
    at <- 0
    for (q in sizes) {  # a block: sd, cor, sd as lme4 orders them (1; 1 2 | 1; ...)
      size <- q * (q + 1) / 2
      block <- par[at + seq_len(size)]
      at <- at + size
      C <- diag(q)
      C[lower.tri(C, TRUE)] <- block
      sd <- diag(C)
      diag(C) <- 1
      C[upper.tri(C)] <- t(C)[upper.tri(C)]
      root <- sd * t(chol(C)) / sigma
      theta <- c(theta, root[lower.tri(root, TRUE)])
    }
    best <- devfun(theta)
    r2 <- state$pp$sqrL(1) + state$resp$wrss()
    best - nu * (1 + log(2 * pi * r2 / nu)) + nu * log(2 * pi * sigma^2) + r2 / sigma^2
  }
}

natural <- function(object) {  # sd, cor, sd blocks and sigma, with lme4's names of confint()
  blocks <- lapply(VarCorr(object), function(block) {
    sd <- attr(block, "stddev")
    C <- attr(block, "correlation")
    diag(C) <- sd
    C[lower.tri(C, TRUE)]
  })
  c(unlist(blocks, use.names = FALSE), sigma(object))
}

# Where the deviance, minimised over all but one parameter, has risen by the 95 % point of chi-square(1).
# The other parameters may end on their bounds: they are, with several starts.
profile_ends <- function(f, best, k, correlation) {
  target <- f(best) + qchisq(.95, 1)
  lower <- ifelse(correlation, -1 + 1e-10, 0)
  lower[length(lower)] <- best[length(best)] / 100
  upper <- ifelse(correlation, 1 - 1e-10, Inf)
  state <- best[-k]
  rise <- function(x) {
    along <- function(rest) {
      value <- tryCatch(f(append(rest, x, k - 1)), error = function(e) NA)
      if (is.finite(value)) value else 1e10
    }
    free <- which(correlation[-k])
    others <- lapply(if (length(free)) c(-.95, 0, .95), function(r) replace(state, free, r))
    starts <- c(list(state, best[-k]), others)
    ends <- lapply(starts, function(from) {
      for (repeated in 1:4) {
        end <- nlminb(from, along, lower = lower[-k], upper = upper[-k], scale = 1 / pmax(abs(best[-k]), 1e-3),
                      control = list(rel.tol = 1e-14, x.tol = 1e-12, eval.max = 5000, iter.max = 5000))
        from <- end$par
      }
      end
    })
    end <- ends[[which.min(vapply(ends, function(end) end$objective, 0))]]
    state <<- end$par
    end$objective - target
  }
  one <- function(direction) {
    state <<- best[-k]
    end <- if (direction < 0) lower[k] else upper[k]
    step <- direction * max(abs(best[k]) * .05, 1e-3)
    x <- best[k]
    repeat {
      following <- x + step
      if ((end - following) * direction <= 0) {
        if (rise(end) < 0) return(end)
        following <- end
      }
      if (rise(following) > 0) break
      x <- following
      step <- step * 1.3
    }
    uniroot(rise, sort(c(x, following)), tol = 1e-9 * max(1, abs(best[k])))$root
  }
  c(one(-1), one(1))
}

best_of_one <- function(f, start, lower) {
  for (repeated in 1:3) {
    end <- nlminb(start, f, lower = lower, control = list(rel.tol = 1e-14, x.tol = 1e-12))
    start <- end$par
  }
  end$objective
}

are_correlations <- function(object) {
  off <- lapply(VarCorr(object), function(block) {
    off <- diag(nrow(block)) == 0
    off[lower.tri(off, TRUE)]
  })
  c(unlist(off, use.names = FALSE), FALSE)
}

# Limits -/+ 1.96 standard errors of a log SD and of Fisher's z, from the Hessian of the REML criterion.
wald_limits <- function(formula, frame) {
  object <- precise(formula, frame)$object
  f <- unprofiled(lFormula(formula, frame, control = tight))
  correlation <- are_correlations(object)
  best <- natural(object)
  x <- suppressWarnings(ifelse(correlation, atanh(best), log(best)))
  back <- function(x) replace(exp(x), correlation, tanh(x[correlation]))
  se <- sqrt(diag(2 * solve(numDeriv::hessian(function(x) f(back(x)), x))))
  list(conf_low = I(back(x - qnorm(.975) * se)), conf_high = I(back(x + qnorm(.975) * se)))
}

interval_columns <- function(names, limits) {
  list(names = I(names), conf_low = I(unname(limits[, 1])), conf_high = I(unname(limits[, 2])))
}

profile_record <- function(id) {
  entry <- Filter(function(entry) entry$id == id, models)[[1]]
  formula <- as.formula(entry$formula)
  current <<- read_frame(entry)
  object <- precise(formula, current, FALSE)$object
  parsed <- lFormula(formula, current, REML = FALSE, control = tight)
  f <- unprofiled(parsed)
  best <- natural(object)
  deviance <- -2 * as.numeric(logLik(object))
  stopifnot(abs(f(best) - deviance) < 1e-7)
  correlation <- are_correlations(object)
  ends <- t(sapply(seq_along(best), function(k) profile_ends(f, best, k, correlation)))
  # A coefficient held at a value is an offset.
  beta <- fixef(object)
  response <- as.vector(model.response(parsed$fr))
  coefficient <- function(j) {
    held <- function(value) {
      less <- parsed
      less$X <- parsed$X[, -j, drop = FALSE]
      less$fr[[1]] <- response - parsed$X[, j] * value
      devfun <- do.call(mkLmerDevfun, less)
      best_of_one(devfun, getME(object, "theta"), less$reTrms$lower)
    }
    target <- deviance + qchisq(.95, 1)
    reach <- 4 * sqrt(vcov(object)[j, j])
    sapply(c(-1, 1), function(s) {
      rise <- function(d) held(beta[j] + s * d) - target
      s * uniroot(rise, c(reach / 40, reach * 2), tol = 1e-10 * reach)$root
    }) + beta[j]
  }
  fixed <- t(sapply(seq_along(beta), coefficient))
  fit <- lmer(formula, current, REML = FALSE, control = tight)
  printed <- suppressMessages(suppressWarnings(confint(fit, oldNames = FALSE, method = "profile")))
  cat(sprintf("profile %s\n", id))
  list(id = id, formula = entry$formula, data = entry$data,
       lme4 = interval_columns(rownames(printed), printed),
       variance = interval_columns(head(rownames(printed), length(best)), ends),
       wald_reml = wald_limits(formula, current),
       fixed = interval_columns(formulaic_names(names(beta), current), fixed))
}
