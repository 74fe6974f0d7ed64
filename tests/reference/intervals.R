# Profile intervals of lme4, approximate intervals of nlme, and variances that R squared is made of.
# From the root of the repository: Rscript tests/reference/intervals.R   (half a minute)
suppressMessages({
  library(lme4)
  library(nlme)
})
raw <- function(name) read.csv(file.path("data/raw", paste0(name, ".csv")))
made <- function(name) read.csv(file.path("tests/reference/data", paste0(name, ".csv")))

sleepstudy <- raw("sleepstudy")
orthodont <- raw("orthodont")
dyestuff <- made("dyestuff")
dyestuff2 <- made("dyestuff2")
pastes <- made("pastes")
schools <- made("schools")
rail <- made("rail")
ovary <- raw("ovary")
irregular <- made("irregular_exponential")
arms <- made("unequal_arms")
spread <- made("growing_spread")


# ---- profiles: limits of every parameter ----
profile_of <- function(id, data, frame, formula) {
  fit <- suppressMessages(lmer(as.formula(formula), frame))
  limits <- suppressMessages(suppressWarnings(confint(fit, oldNames = FALSE)))
  list(id = id, data = data, formula = formula,
       limits = setNames(lapply(seq_len(nrow(limits)), function(i) unname(limits[i, ])), rownames(limits)))
}
profiles <- list(
  profile_of("sleepstudy_slope", "data/raw/sleepstudy.csv", sleepstudy, "Reaction ~ Days + (Days | Subject)"),
  profile_of("sleepstudy_uncorrelated", "data/raw/sleepstudy.csv", sleepstudy, "Reaction ~ Days + (Days || Subject)"),
  profile_of("sleepstudy_intercept", "data/raw/sleepstudy.csv", sleepstudy, "Reaction ~ Days + (1 | Subject)"),
  profile_of("orthodont_intercept", "data/raw/orthodont.csv", orthodont, "distance ~ age * Sex + (1 | Subject)"),
  profile_of("dyestuff", "tests/reference/data/dyestuff.csv", dyestuff, "Yield ~ 1 + (1 | Batch)"),
  profile_of("dyestuff2", "tests/reference/data/dyestuff2.csv", dyestuff2, "Yield ~ 1 + (1 | Batch)"),
  profile_of("rail", "tests/reference/data/rail.csv", rail, "travel ~ 1 + (1 | Rail)"),
  profile_of("pastes", "tests/reference/data/pastes.csv", pastes, "strength ~ 1 + (1 | batch/cask)")
)

# ---- nlme's intervals(): log SD, log((1 + r) / (1 - r)), log ratios, logit nugget, and normal quantiles ----
tight <- lmeControl(tolerance = 1e-12, msTol = 1e-13, niterEM = 50, msMaxIter = 500, maxIter = 500, returnObject = TRUE,
                    .relStep = 1e-4)  # the default, 6e-6, drowns second differences in rounding
tight_gls <- glsControl(tolerance = 1e-12, msTol = 1e-13, msMaxIter = 500, maxIter = 500, returnObject = TRUE)
interval_of <- function(id, data, formula, fit, residual = NULL, variance = NULL, categories = NULL) {
  found <- intervals(fit, which = "var-cov")
  rows <- list()
  keep <- function(name, table) {
    for (i in seq_len(nrow(table))) {
      limits <- unname(unlist(table[i, c("lower", "est.", "upper")]))
      rows[[paste(c(name, rownames(table)[i]), collapse = "|")]] <<- as.list(limits)
    }
  }
  for (group in names(found$reStruct)) keep(group, found$reStruct[[group]])
  if (!is.null(found$corStruct)) keep("cor", as.data.frame(found$corStruct))
  if (!is.null(found$varStruct)) keep("var", as.data.frame(found$varStruct))
  rows[["sigma"]] <- as.list(unname(c(found$sigma)))
  list(id = id, data = data, formula = formula, residual = residual, variance = variance,
       categories = categories, intervals = rows)
}
intervals_ <- list(
  interval_of("sleepstudy_intercept", "data/raw/sleepstudy.csv", "Reaction ~ Days + (1 | Subject)",
              lme(Reaction ~ Days, sleepstudy, ~ 1 | Subject, control = tight)),
  interval_of("sleepstudy_slope", "data/raw/sleepstudy.csv", "Reaction ~ Days + (Days | Subject)",
              lme(Reaction ~ Days, sleepstudy, ~ Days | Subject, control = tight)),
  interval_of("sleepstudy_uncorrelated", "data/raw/sleepstudy.csv", "Reaction ~ Days + (Days || Subject)",
              lme(Reaction ~ Days, sleepstudy, list(Subject = pdDiag(~ Days)), control = tight)),
  interval_of("pastes", "tests/reference/data/pastes.csv", "strength ~ 1 + (1 | batch/cask)",
              lme(strength ~ 1, pastes, ~ 1 | batch/cask, control = tight)),
  interval_of("ovary_ar1", "data/raw/ovary.csv", "follicles ~ sin(2*pi*Time) + cos(2*pi*Time) + (1 | Mare)",
              lme(follicles ~ sin(2*pi*Time) + cos(2*pi*Time), ovary, ~ 1 | Mare,
                  correlation = corAR1(form = ~ Visit | Mare), control = tight),
              residual = list(type = "ar1", time = "Visit", subject = "Mare")),
  interval_of("sleepstudy_ar1", "data/raw/sleepstudy.csv", "Reaction ~ Days",
              gls(Reaction ~ Days, sleepstudy, corAR1(form = ~ Days | Subject), control = tight_gls),
              residual = list(type = "ar1", time = "Days", subject = "Subject")),
  interval_of("orthodont_car1", "data/raw/orthodont.csv", "distance ~ age * Sex",
              gls(distance ~ age * Sex, orthodont, corCAR1(form = ~ age | Subject), control = tight_gls),
              residual = list(type = "car1", time = "age", subject = "Subject")),
  interval_of("irregular_exponential_nugget", "tests/reference/data/irregular_exponential.csv", "y ~ time * arm",
              gls(y ~ time * arm, irregular, corExp(c(2, .2), form = ~ time | id, nugget = TRUE), control = tight_gls),
              residual = list(type = "exponential", time = "time", subject = "id", nugget = TRUE)),
  interval_of("orthodont_compound", "data/raw/orthodont.csv", "distance ~ age * Sex",
              gls(distance ~ age * Sex, orthodont, corCompSymm(form = ~ 1 | Subject), control = tight_gls),
              residual = list(type = "compound_symmetry", subject = "Subject")),
  interval_of("unequal_arms", "tests/reference/data/unequal_arms.csv", "y ~ visit * arm + (1 | id)",
              lme(y ~ visit * arm, arms, ~ 1 | id, weights = varIdent(form = ~ 1 | arm), control = tight),
              variance = list(type = "by_group", of = "arm"), categories = list(arm = c("placebo", "active"))),
  interval_of("power_dose", "tests/reference/data/growing_spread.csv", "y ~ dose + (1 | id)",
              lme(y ~ dose, spread, ~ 1 | id, weights = varPower(form = ~ dose), control = tight),
              variance = list(type = "power", of = "dose"))
)

# ---- variances of Nakagawa & Schielzeth (2013) and Johnson (2014), written out from lme4's estimates ----
explained_of <- function(id, data, frame, formula) {
  fit <- lmer(as.formula(formula), frame, control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9)))
  Z <- getME(fit, "mmList")
  V <- VarCorr(fit)
  random <- lapply(seq_along(V), function(i) sum(diag(Z[[i]] %*% V[[i]] %*% t(Z[[i]]))) / nrow(frame))
  names(random) <- names(V)
  fixed <- var(as.vector(getME(fit, "X") %*% fixef(fit)))
  total <- fixed + sum(unlist(random)) + sigma(fit)^2
  list(id = id, data = data, formula = formula, fixed = fixed, random = random, residual_variance = sigma(fit)^2,
       marginal = fixed / total, conditional = (fixed + sum(unlist(random))) / total)
}
explained <- list(
  explained_of("sleepstudy_slope", "data/raw/sleepstudy.csv", sleepstudy, "Reaction ~ Days + (Days | Subject)"),
  explained_of("orthodont_intercept", "data/raw/orthodont.csv", orthodont, "distance ~ age * Sex + (1 | Subject)"),
  explained_of("pastes", "tests/reference/data/pastes.csv", pastes, "strength ~ 1 + (1 | batch/cask)"),
  explained_of("schools", "tests/reference/data/schools.csv", schools, "y ~ x + (x | region) + (1 | region:school)")
)

# ---- nlme's marginal covariance of one subject ----
marginal_of <- function(id, data, formula, fit, rows, residual, variance = NULL) {
  V <- getVarCov(fit, individuals = 1, type = "marginal")[[1]]
  list(id = id, data = data, formula = formula, rows = rows, residual = residual, variance = variance,
       covariance = lapply(seq_len(nrow(V)), function(i) unname(V[i, ])))
}
first <- function(frame, group) frame[frame[[group]] == frame[[group]][1], ]
orthodont$Subject <- factor(orthodont$Subject, levels = unique(orthodont$Subject))
marginal <- list(
  marginal_of("orthodont_slope_by_sex_ar1", "data/raw/orthodont.csv", "distance ~ age * Sex + (age | Subject)",
              lme(distance ~ age * Sex, orthodont, ~ age | Subject,
                  correlation = corAR1(form = ~ I((age - 6) / 2) | Subject), weights = varIdent(form = ~ 1 | Sex), control = tight),
              rows = list(age = first(orthodont, "Subject")$age, Sex = first(orthodont, "Subject")$Sex),
              residual = list(type = "ar1", time = "age", subject = "Subject"),
              variance = list(type = "by_group", of = "Sex")),
  marginal_of("sleepstudy_intercept_ar1", "data/raw/sleepstudy.csv", "Reaction ~ Days + (1 | Subject)",
              lme(Reaction ~ Days, sleepstudy, ~ 1 | Subject,
                  correlation = corAR1(form = ~ Days | Subject), control = tight),
              rows = list(Days = 0:9), residual = list(type = "ar1", time = "Days", subject = "Subject"))
)

json <- jsonlite::toJSON(
  list(software = list(R = paste(R.version$major, R.version$minor, sep = "."),
                       lme4 = as.character(packageVersion("lme4")), nlme = as.character(packageVersion("nlme"))),
       profiles = profiles, intervals = intervals_, explained = explained, marginal = marginal),
  auto_unbox = TRUE, digits = NA, pretty = 1, null = "null"
)
writeLines(json, "tests/reference/intervals_reference.json")
