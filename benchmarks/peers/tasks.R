# Tasks in R: Rscript benchmarks/peers/tasks.R PROGRAM TASK FILE, see tasks.py for what is said and answered.

ROUND <- 0.2
WARM_UP <- 400
BOOT <- 50 # replicates that bootMer makes of the 1,000; its time is scaled

slope <- y ~ t + (t | id)
with_arm <- y ~ t * arm + (t | id)
fitting <- function(run) list(prepare = identity, run = run, result = function(m) as.numeric(logLik(m)))
patient <- function() nlme::lmeControl(maxIter = 200, msMaxIter = 200, returnObject = TRUE)

tasks <- list(
  lme4 = list(
    slope = fitting(function(d) lme4::lmer(slope, d)),
    independent_slope = fitting(function(d) lme4::lmer(y ~ t + (t || id), d, REML = FALSE)),
    nested = fitting(function(d) lme4::lmer(y ~ t + (1 | school / id), d)),
    bootstrap = list(
      prepare = function(d) lme4::lmer(slope, d),
      run = function(m) lme4::bootMer(m, function(m) c(lme4::fixef(m), lme4::getME(m, "theta")), nsim = BOOT, seed = 1),
      result = function(b) sd(b$t[, 2]),
      times = 1000 / BOOT
    )
  ),
  nlme = list(
    slope = fitting(function(d) nlme::lme(y ~ t, random = ~ t | id, data = d)),
    slope_ar1 = fitting(function(d) nlme::lme(
      y ~ t, random = ~ t | id, correlation = nlme::corAR1(form = ~ t | id), data = d, control = patient()
    )),
    intercept_car1 = fitting(function(d) nlme::lme(
      y ~ t, random = ~ 1 | id, correlation = nlme::corCAR1(form = ~ t | id), data = d, control = patient()
    )),
    mmrm = fitting(function(d) {
      # From no correlation gls stops short of convergence: it starts from the covariances of each pair of visits.
      wide <- tapply(resid(lm(y ~ visit, d)), list(d$id, d$visit), c)
      V <- cov(wide, use = "pairwise.complete.obs")
      e <- eigen(cov2cor(V), symmetric = TRUE)
      R <- cov2cor(e$vectors %*% diag(pmax(e$values, 0.01)) %*% t(e$vectors))
      sd <- setNames(sqrt(diag(V))[-1] / sqrt(V[1, 1]), colnames(V)[-1])
      nlme::gls(
        y ~ visit, correlation = nlme::corSymm(R[lower.tri(R)], form = ~ as.integer(visit) | id),
        weights = nlme::varIdent(sd, form = ~ 1 | visit), data = d,
        control = nlme::glsControl(opt = "optim", maxIter = 200, msMaxIter = 500)
      )
    })
  ),
  glmmTMB = list(
    slope = fitting(function(d) glmmTMB::glmmTMB(slope, d, REML = TRUE)),
    mmrm = fitting(function(d) glmmTMB::glmmTMB(y ~ visit + us(0 + visit | id), d, REML = TRUE, dispformula = ~0))
  ),
  mmrm = list(
    mmrm = fitting(function(d) mmrm::mmrm(y ~ visit + us(visit | id), d, reml = TRUE))
  ),
  lmerTest = list(
    satterthwaite = list(
      prepare = function(d) lme4::lmer(with_arm, d),
      run = function(m) coef(summary(lmerTest::as_lmerModLmerTest(m))),
      result = function(table) table[4, "df"]
    ),
    kenward_roger = list(
      prepare = function(d) lmerTest::lmer(with_arm, d),
      run = function(m) coef(summary(m, ddf = "Kenward-Roger")),
      result = function(table) table[4, "df"]
    )
  ),
  pbkrtest = list(
    kenward_roger = list(
      prepare = function(d) lme4::lmer(with_arm, d),
      run = function(m) {
        adjusted <- pbkrtest::vcovAdj(m)
        sapply(1:4, function(k) pbkrtest::Lb_ddf(diag(4)[k, ], as.matrix(vcov(m)), adjusted))
      },
      result = function(df) df[4]
    )
  )
)

quiet <- function(code) suppressMessages(suppressWarnings(code))

arguments <- commandArgs(TRUE)
program <- arguments[1]
task <- tasks[[program]][[arguments[2]]]
if (!requireNamespace(program, quietly = TRUE)) {
  cat("absent\n")
  quit()
}
d <- read.csv(arguments[3])
d$id <- factor(d$id)
if ("visit" %in% names(d)) d$visit <- factor(d$visit)
invisible(try(quiet(task$run(task$prepare(droplevels(head(d, WARM_UP))))), silent = TRUE))
state <- quiet(task$prepare(d))
scale <- if (is.null(task$times)) 1 else task$times
cat(sprintf("%s %s (R %s)\n", program, packageVersion(program), getRversion()))
lines <- file("stdin", "r")
while (length(readLines(lines, 1))) {
  times <- c()
  while (sum(times) < ROUND) {
    invisible(gc())
    start <- Sys.time()
    found <- quiet(task$run(state))
    times <- c(times, as.numeric(Sys.time() - start, units = "secs"))
  }
  cat(sprintf("%.9g %.17g\n", median(times) * scale, task$result(found)))
}
