# The best of several optimisers, then Newton steps, on the program's own log-likelihood.

# Minimise f (a negative log-likelihood) from `start` and from perturbed starts, `lower` being bounds.
# Returns par, value and `short`: how much worse than that is the best of each optimiser's ends.
best_of <- function(f, start, lower = rep(-Inf, length(start))) {
  safe <- function(par) {
    value <- tryCatch(suppressWarnings(f(par)), error = function(e) NA_real_)
    if (is.finite(value)) value else 1e10
  }
  set.seed(1)
  starts <- c(list(start), lapply(c(-1.5, -.7, .7, 1.5), function(last) {
    moved <- start + rnorm(length(start), sd = .3)
    moved[length(moved)] <- start[length(start)] + last  # with AR(1) the last parameter is that of rho
    pmax(moved, lower)
  }))
  optimisers <- list(
    BOBYQA = function(par) nloptr_minimum("NLOPT_LN_BOBYQA", safe, par, lower),
    Nelder_Mead = function(par) nloptr_minimum("NLOPT_LN_NELDERMEAD", safe, par, lower),
    nlminb = function(par) {
      nlminb(par, safe, lower = lower,
             control = list(eval.max = 5000, iter.max = 5000, rel.tol = 1e-14, x.tol = 1e-12))$par
    },
    optim = function(par) {
      optim(par, safe, method = "L-BFGS-B", lower = lower,
            control = list(maxit = 5000, factr = 10, pgtol = 0))$par
    }
  )
  found <- numeric()
  best <- list(par = start, value = safe(start))
  for (name in names(optimisers)) {
    for (par in starts) {
      end <- tryCatch(optimisers[[name]](par), error = function(e) par)
      value <- safe(end)
      found[name] <- min(found[name], value, na.rm = TRUE)
      if (value < best$value) best <- list(par = end, value = value)
    }
  }
  best <- newton(safe, zero_bounds(safe, best, lower), lower)
  c(best, list(short = found - best$value))
}

nloptr_minimum <- function(algorithm, f, par, lower) {
  nloptr::nloptr(par, f, lb = lower, opts = list(
    algorithm = algorithm, xtol_rel = 1e-12, xtol_abs = 1e-12, ftol_abs = 1e-13, ftol_rel = 0,
    maxeval = 20000
  ))$solution
}

# A parameter next to its bound goes onto it if the value is not worse.
zero_bounds <- function(f, best, lower) {
  for (k in which(best$par != lower & abs(best$par - lower) < 1e-3)) {
    par <- replace(best$par, k, lower[k])
    if (f(par) <= best$value + 1e-9) best <- list(par = par, value = f(par))
  }
  best
}

# Newton steps over the parameters off their bounds, derivatives by Richardson extrapolation. The value
# can no longer tell the last steps apart, so a step is taken when it shrinks the gradient and does not
# raise the value visibly.
newton <- function(f, best, lower) {
  free <- which(best$par > lower)
  if (!length(free)) return(best)
  along <- function(x) f(replace(best$par, free, x))
  x <- best$par[free]
  gradient <- numDeriv::grad(along, x)
  for (step in 1:8) {
    hessian <- numDeriv::hessian(along, x)
    curvature <- eigen(hessian, TRUE, TRUE)$values
    # A variance on its way to zero (nlme never reaches it) leaves a direction without curvature.
    if (min(curvature) <= 1e-9 * max(curvature)) break
    trial <- x - solve(hessian, gradient)
    trial_gradient <- numDeriv::grad(along, trial)
    if (along(trial) > along(x) + 1e-10 || sum(trial_gradient^2) >= sum(gradient^2)) break
    x <- trial
    gradient <- trial_gradient
  }
  list(par = replace(best$par, free, x), value = along(x))
}
