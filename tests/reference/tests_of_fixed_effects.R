# Tests of fixed effects and estimated marginal means by lmerTest, pbkrtest and emmeans.
# Writes tests/reference/tests_reference.json. Run from the root of the repository, after make_tests_data.R:
#   Rscript tests/reference/tests_of_fixed_effects.R
# Made with R 4.2.2, lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2, emmeans 1.8.4-1 (Debian 12).

suppressPackageStartupMessages({
  library(lmerTest)
  library(emmeans)
  library(jsonlite)
})
emm_options(cov.keep = character(0), msg.interaction = FALSE, msg.nesting = FALSE)

raw <- function(name) paste0("data/raw/", name, ".csv")
made <- function(name) paste0("tests/reference/data/", name, ".csv")
factorial <- made("factorial")

# r : the formula as R must be told it where it differs.
model <- function(id, data, formula, r = formula) list(id = id, data = data, formula = formula, r = r)
models <- list(
  model("sleepstudy", raw("sleepstudy"), "Reaction ~ Days + (Days | Subject)"),
  model("orthodont", raw("orthodont"), "distance ~ age * Sex + (age | Subject)"),
  model("cake", made("cake"), "angle ~ recipe * temp + (1 | batch)"),
  model("cake_factors", made("cake"), "angle ~ recipe * C(temp) + (1 | batch)",
        "angle ~ recipe * factor(temp) + (1 | batch)"),
  model("oats", made("oats"), "yield ~ nitro * Variety + (1 | Block / Variety)"),
  model("machines", made("machines"), "score ~ Machine + (1 | Worker / Machine)"),
  model("additive", factorial, "y ~ arm + visit + x + (1 | id)"),
  model("two_factors", factorial, "y ~ arm * visit + (1 | id)"),
  model("factor_covariate", factorial, "y ~ arm * x + (1 | id)"),
  model("random_slope", factorial, "y ~ visit + arm * x + (x | id)"),
  model("three_factors", factorial, "y ~ arm * visit * condition + (1 | id)"),
  model("factors_covariates", factorial, "y ~ arm * visit + sex * x + visit:x + z + (1 | id)"),
  model("polynomial", factorial, "y ~ arm * poly(x, 2) + (1 | id)"),
  model("squares", factorial, "y ~ arm * (x + I(x^2)) + (1 | id)"),
  model("covariates", factorial, "y ~ x * z + sex + (1 | id)"),
  model("logarithm", factorial, "y ~ visit * log(x) + scale(z) + (1 | id)"),
  model("no_intercept", factorial, "y ~ 0 + arm + (1 | id)"),
  model("no_intercept_covariate", factorial, "y ~ 0 + arm + x + (1 | id)"),
  model("no_intercept_slopes", factorial, "y ~ 0 + arm + arm:x + (1 | id)"),
  model("slopes_only", factorial, "y ~ x:arm + (1 | id)"),
  model("slopes_and_mean", factorial, "y ~ x + x:arm + (1 | id)"),
  model("nested_factors", factorial, "y ~ arm + arm:visit + (1 | id)"),
  model("collinear", factorial, "y ~ x + twice + arm + (1 | id)"),
  model("empty_cell", made("factorial_empty_cell"), "y ~ arm * visit + (1 | id)"),
  model("empty_cells", made("factorial_empty_cells"), "y ~ arm * visit + x + (1 | id)")
)

read_frame <- function(path) {
  frame <- read.csv(path, stringsAsFactors = FALSE)
  for (name in names(frame)) if (is.character(frame[[name]]) || name %in% c("Worker")) {
    frame[[name]] <- factor(frame[[name]], sort(unique(as.character(frame[[name]])), method = "radix"))
  }
  frame
}
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), calc.derivs = FALSE)
refit <- function(entry, frame) {
  do.call("lmer", list(as.formula(entry$r), data = frame, control = tight))
}

anova_rows <- function(fit, type, ddf) {
  table <- as.data.frame(suppressMessages(anova(fit, type = type, ddf = ddf)))
  lapply(seq_len(nrow(table)), function(i) {
    list(type = type, df = tolower(ddf), term = rownames(table)[i], num_df = table$NumDF[i],
         den_df = table$DenDF[i], statistic = table[["F value"]][i], p_value = table[["Pr(>F)"]][i])
  })
}

tests <- lapply(models, function(entry) {
  fit <- refit(entry, read_frame(entry$data))
  rows <- list()
  for (type in 1:3) for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    rows <- c(rows, anova_rows(fit, type, ddf))
  }
  c(entry[c("id", "data", "formula")], list(r_call = entry$r, loglik = as.numeric(logLik(fit)), rows = rows))
})

# ---- hypotheses written out: lmerTest overlooks that a term contains another if that one's categories are not
# all in the model as main effects, and takes poly(x, 2) for a category; its own rows then test one reference
# level, or leave arm:poly(x, 2) out. `names` are R's names of the coefficients.
thirds <- function(names) setNames(rep(1 / 3, length(names)), names)
by_hand <- list(
  list(of = "slopes_and_mean", type = 3, term = "x", rows = list(c(x = 1, thirds(c("x:armb", "x:armc"))))),
  list(of = "nested_factors", type = 3, term = "arm", rows = lapply(c("b", "c"), function(arm) {
    c(setNames(1, paste0("arm", arm)), thirds(paste0("arm", arm, ":visit", c("v2", "v3"))),
      -thirds(paste0("arma:visit", c("v2", "v3"))))
  }))
)
written <- lapply(by_hand, function(entry) {
  origin <- Filter(function(m) m$id == entry$of, models)[[1]]
  fit <- refit(origin, read_frame(origin$data))
  L <- t(sapply(entry$rows, function(row) {
    weights <- setNames(numeric(length(fixef(fit))), names(fixef(fit)))
    stopifnot(names(row) %in% names(weights))
    weights[names(row)] <- row
    weights
  }))
  rows <- lapply(c("Satterthwaite", "Kenward-Roger"), function(ddf) {
    test <- contestMD(fit, L, ddf = ddf)
    list(type = entry$type, df = tolower(ddf), term = entry$term, num_df = test$NumDF, den_df = test$DenDF,
         statistic = test[["F value"]], p_value = test[["Pr(>F)"]])
  })
  list(of = entry$of, rows = rows)
})

# ---- estimated marginal means: specs, by, at as the engine is told them; adjust of the comparisons ----
asked <- function(id, of, specs, by = NULL, at = NULL, adjust = "tukey", slope = NULL, compare = "pairwise") {
  list(id = id, of = of, specs = specs, by = by, at = at, adjust = adjust, slope = slope, compare = compare)
}
means <- list(
  asked("machines", "machines", "Machine"),
  asked("cake", "cake_factors", "recipe"),
  asked("cake_holm", "cake_factors", "temp", adjust = "holm"),
  asked("oats_at", "oats", "Variety", at = list(nitro = .4), adjust = "bonferroni"),
  asked("additive", "additive", "arm"),
  asked("two_factors", "two_factors", "arm"),
  asked("two_factors_by", "two_factors", "arm", by = "visit"),
  asked("two_factors_by_bonferroni", "two_factors", "arm", by = "visit", adjust = "bonferroni"),
  asked("two_factors_cells", "two_factors", c("arm", "visit"), adjust = "none"),
  asked("three_factors", "three_factors", "condition", by = "arm", adjust = "holm"),
  asked("covariates_at", "factors_covariates", "visit", at = list(x = 3, z = 40)),
  asked("polynomial", "polynomial", "arm", at = list(x = 7)),
  asked("logarithm", "logarithm", c("visit"), at = list(x = c(2, 8)), by = "x"),
  asked("logarithm_mean", "logarithm", "visit", compare = "trt.vs.ctrl", adjust = "bonferroni"),
  asked("no_intercept", "no_intercept_slopes", "arm"),
  asked("empty_cell", "empty_cell", "arm", by = "visit"),
  asked("empty_cell_average", "empty_cell", "visit", adjust = "holm"),
  asked("orthodont_slopes", "orthodont", "Sex", slope = "age"),
  asked("slopes", "random_slope", "arm", slope = "x"),
  asked("slopes_visit", "factors_covariates", "visit", slope = "x", adjust = "holm"),
  asked("slopes_polynomial", "polynomial", "arm", slope = "x", at = list(x = 4)),
  asked("slopes_logarithm", "logarithm", "visit", slope = "x", at = list(x = 4))
)

numbers <- function(frame, names) {
  frame <- as.data.frame(frame)
  is_factor <- vapply(frame, is.factor, NA)
  frame[is_factor] <- lapply(frame[is_factor], as.character)
  unname(lapply(split(frame, seq_len(nrow(frame))), function(row) as.list(row[intersect(names, colnames(frame))])))
}

marginal <- function(entry, ddf) {
  origin <- Filter(function(m) m$id == entry$of, models)[[1]]
  fit <- refit(origin, read_frame(origin$data))
  common <- list(object = fit, specs = entry$specs, lmer.df = ddf, delta.var = 1e-6)
  if (!is.null(entry$by)) common$by <- entry$by
  if (!is.null(entry$at)) common$at <- entry$at
  if (is.null(entry$slope)) {
    common$delta.var <- NULL
    found <- suppressMessages(do.call(emmeans, common))
  } else {
    found <- suppressMessages(do.call(emtrends, c(common, list(var = entry$slope))))
  }
  table <- as.data.frame(confint(found, level = .95, adjust = "none"))
  names(table)[match(c(attr(confint(found), "estName")), names(table))] <- "estimate"
  compared <- contrast(found, entry$compare, adjust = entry$adjust)
  both <- as.data.frame(suppressMessages(summary(compared, infer = c(TRUE, TRUE))))
  renamed <- c(SE = "std_error", lower.CL = "conf_low", upper.CL = "conf_high", asymp.LCL = "conf_low",
               asymp.UCL = "conf_high", t.ratio = "statistic", z.ratio = "statistic", p.value = "p_value")
  for (old in names(renamed)) {
    names(table)[names(table) == old] <- renamed[[old]]
    names(both)[names(both) == old] <- renamed[[old]]
  }
  kept <- c(entry$specs, entry$by, "contrast", "estimate", "std_error", "df", "conf_low", "conf_high", "statistic",
            "p_value")
  list(df = ddf, means = numbers(table, kept), comparisons = numbers(both, kept))
}

grids <- lapply(means, function(entry) {
  methods <- c("satterthwaite", "kenward-roger", "asymptotic")
  c(entry, list(results = lapply(methods, function(ddf) marginal(entry, ddf))))
})

# ---- the distribution of the studentized range ----
range <- expand.grid(q = c(.5, 1.5, 3.3, 5, 8), means = c(2, 3, 6), df = c(2.3, 5, 17.8, 120.4, Inf))
range$p <- mapply(ptukey, range$q, range$means, range$df, lower.tail = FALSE)
range$quantile <- mapply(function(k, df) qtukey(.95, k, df), range$means, range$df)

write(toJSON(list(
  versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
                  lmerTest = as.character(packageVersion("lmerTest")), pbkrtest = as.character(packageVersion("pbkrtest")),
                  emmeans = as.character(packageVersion("emmeans"))),
  anova = tests, written = written, means = grids, studentized_range = range
), auto_unbox = TRUE, digits = I(11), null = "null", na = "null", pretty = 1), "tests/reference/tests_reference.json")
