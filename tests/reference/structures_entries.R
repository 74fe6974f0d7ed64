# The models of the second battery: every one is fitted by ML and by REML.
# `formula` is lme4 notation. Without `residual` and `variance` it is fitted by lme4, otherwise by nlme: gls,
# or lme if it has random terms; `random` is then nlme's way to write them.
# A structure carries what the engine is told (`type`, ...) and the R text of the same (`r`).
# `scale` lets R fit at x * scale; the results are carried back to x.

model <- function(id, category, data, formula, ...) {
  c(list(id = id, category = category, data = data, formula = formula), list(...))
}
raw <- function(name) paste0("data/raw/", name, ".csv")
made <- function(name) paste0("tests/reference/data/", name, ".csv")

# `time_r` is the time as R must be told it, e.g. numbered visits; `within` the groups in R's notation.
structure_of <- function(type, r, time = NULL, subject = NULL, nugget = FALSE, ...) {
  list(type = type, time = time, subject = subject, nugget = nugget, r = r, ...)
}
form <- function(time, subject) sprintf("form = ~ %s | %s", time, subject)
ar1 <- function(time, subject, within = subject) {
  structure_of("ar1", sprintf("corAR1(%s)", form(time, within)), time, subject)
}
car1 <- function(time, subject, within = subject) {
  structure_of("car1", sprintf("corCAR1(0.3, %s)", form(time, within)), time, subject)
}
spatial <- function(type, class) function(time, subject, nugget = FALSE, within = subject) {
  structure_of(type, sprintf("%s(%s, nugget = %s)", class, form(time, within), nugget), time, subject, nugget)
}
exponential <- spatial("exponential", "corExp")
gaussian <- spatial("gaussian", "corGaus")
compound <- function(subject) {
  structure_of("compound_symmetry", sprintf("corCompSymm(form = ~ 1 | %s)", subject), subject = subject)
}
toeplitz <- function(time, subject, lags, time_r = time) {
  structure_of("toeplitz", sprintf("corARMA(p = %d, %s)", lags, form(time_r, subject)), time, subject, lags = lags)
}
unstructured <- function(time, subject, time_r = time) {
  structure_of("unstructured", sprintf("corSymm(%s)", form(time_r, subject)), time, subject,
               by_visit = sprintf("varIdent(form = ~ 1 | %s)", time))
}
random_walk <- function(time, subject) structure_of("random_walk", NULL, time, subject)
by_group <- function(column) {
  list(type = "by_group", of = column, r = sprintf("varIdent(form = ~ 1 | %s)", column))
}
power_of <- function(of) {
  list(type = "power", of = of,
       r = if (of == "fitted") "varPower()" else sprintf("varPower(form = ~ %s)", of))
}

growth <- "distance ~ age * Sex"
ages <- "I((age - 6) / 2)"
cycle <- "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)"
diets <- list(Diet = c("1", "2", "3"))
chicks <- list(Diet = c("1", "2", "3", "4"))
score <- "y ~ base + period * arm"
line <- "y ~ time * arm"

models <- list(
  # ---- residual structures, marginal ----
  model("orthodont_compound", "residual", raw("orthodont"), growth, residual = compound("Subject")),
  model("orthodont_car1", "residual", raw("orthodont"), growth, residual = car1("age", "Subject")),
  model("orthodont_toeplitz", "residual", raw("orthodont"), growth,
        residual = toeplitz("age", "Subject", 3, ages)),
  model("orthodont_unstructured", "residual", raw("orthodont"), growth,
        residual = unstructured("age", "Subject", ages)),
  model("trial_unstructured", "residual", made("trial"), score, residual = unstructured("visit", "id")),
  model("trial_weeks_unstructured", "residual", made("trial"), "y ~ base + week * arm",
        residual = unstructured("week", "id", "visit")),
  model("trial_toeplitz", "residual", made("trial"), score, residual = toeplitz("visit", "id", 4)),
  model("trial_weeks_car1", "residual", made("trial"), score, residual = car1("week", "id")),
  model("trial_compound", "residual", made("trial"), score, residual = compound("id")),
  model("litters_negative_compound", "residual", made("litters"), "y ~ dose", residual = compound("litter")),
  model("gaps_negative_toeplitz", "residual", made("gaps_rho_negative"), "y ~ visit * arm",
        residual = toeplitz("visit", "id", 7)),
  model("days_exponential", "residual", made("days_with_gaps"), "y ~ day", residual = exponential("day", "id")),
  model("days_exponential_nugget", "residual", made("days_with_gaps"), "y ~ day",
        residual = exponential("day", "id", TRUE)),
  model("days_gaussian_nugget", "residual", made("days_with_gaps"), "y ~ day",
        residual = gaussian("day", "id", TRUE)),
  model("irregular_exponential", "residual", made("irregular_exponential"), line,
        residual = exponential("time", "id")),
  model("irregular_exponential_nugget", "residual", made("irregular_exponential"), line,
        residual = exponential("time", "id", TRUE)),
  model("irregular_gaussian", "residual", made("irregular_gaussian"), line, residual = gaussian("time", "id")),
  model("irregular_gaussian_nugget", "residual", made("irregular_gaussian"), line,
        residual = gaussian("time", "id", TRUE)),
  model("loblolly_walk", "residual", made("loblolly"), "height ~ 0 + age", residual = random_walk("age", "Seed")),

  # ---- residual structures beside random effects ----
  model("ovary_car1_intercept", "residual with random effects", raw("ovary"), paste(cycle, "+ (1 | Mare)"),
        random = "~ 1 | Mare", residual = car1("Time", "Mare")),
  model("ovary_exponential_nugget", "residual with random effects", raw("ovary"),
        paste(cycle, "+ (1 | Mare)"), random = "~ 1 | Mare", residual = exponential("Time", "Mare", TRUE)),
  model("bodyweight_exponential", "residual with random effects", raw("bodyweight"),
        "weight ~ Time * Diet + (Time | Rat)", random = "~ Time | Rat", residual = exponential("Time", "Rat"),
        categories = diets),
  model("bodyweight_gaussian_nugget", "residual with random effects", raw("bodyweight"),
        "weight ~ Time * Diet + (1 | Rat)", random = "~ 1 | Rat", residual = gaussian("Time", "Rat", TRUE),
        categories = diets),
  model("milk_exponential_nugget", "residual with random effects", made("milk"),
        "protein ~ Diet + Time + (1 | Cow)", random = "~ 1 | Cow", residual = exponential("Time", "Cow", TRUE)),
  model("irregular_car1_slope", "residual with random effects", made("irregular_exponential"),
        paste(line, "+ (time | id)"), random = "~ time | id", residual = car1("time", "id")),
  model("irregular_gaussian_uncorrelated", "residual with random effects", made("irregular_gaussian"),
        paste(line, "+ (time || id)"), random = "list(id = pdDiag(~ time))", residual = gaussian("time", "id")),
  model("irregular_gaussian_nugget_intercept", "residual with random effects", made("irregular_gaussian"),
        paste(line, "+ (1 | id)"), random = "~ 1 | id", residual = gaussian("time", "id", TRUE)),
  model("litters_compound_slope", "residual with random effects", made("litters"),
        "y ~ dose + (0 + dose | litter)", random = "~ 0 + dose | litter", residual = compound("litter")),
  model("trial_exponential_weeks", "residual with random effects", made("trial"), paste(score, "+ (1 | id)"),
        random = "~ 1 | id", residual = exponential("week", "id")),
  model("gaps_toeplitz_slope", "residual with random effects", made("gaps_slope"), "y ~ visit * arm + (0 + visit | id)",
        random = "~ 0 + visit | id", residual = toeplitz("visit", "id", 7)),
  model("loblolly_walk_slope", "residual with random effects", made("loblolly"),
        "height ~ 0 + age + (0 + age | Seed)", residual = random_walk("age", "Seed")),
  model("bodyweight_walk_intercept", "residual with random effects", raw("bodyweight"),
        "weight ~ Time * Diet + (1 | Rat)", residual = random_walk("Time", "Rat"), categories = diets),

  # ---- several random terms, terms without an intercept ----
  model("unbalanced_three_terms", "random terms", made("unbalanced"),
        "y ~ time + group + (1 | id) + (0 + time | id) + (0 + I(time**2) | id)"),
  model("unbalanced_block", "random terms", made("unbalanced"),
        "y ~ time + I(time**2) + group + (time | id) + (0 + I(time**2) | id)"),
  model("oxboys_quadratic", "random terms", made("oxboys"),
        "height ~ age + I(age**2) + (age + I(age**2) | Subject)"),
  model("oxboys_uncorrelated", "random terms", made("oxboys"),
        "height ~ age + I(age**2) + (age + I(age**2) || Subject)"),
  model("crossover_condition", "random terms", made("crossover"), "y ~ condition + (0 + condition | id)"),
  model("crossover_condition_contrasts", "random terms", made("crossover"), "y ~ condition * sex + (condition | id)"),
  model("crossover_sex", "random terms", made("crossover"), "y ~ condition + (0 + sex | id)"),
  model("machines_worker", "random terms", made("machines"), "score ~ Machine + (0 + Machine | Worker)"),
  model("no_intercept_anywhere", "random terms", made("two_arms"), "y ~ 0 + time + (0 + time | id)"),
  model("no_fixed_intercept_condition", "random terms", made("crossover"),
        "y ~ 0 + condition + condition:sex + (1 | id)"),

  # ---- nested factors ----
  model("pastes", "nested", made("pastes"), "strength ~ 1 + (1 | batch/cask)"),
  model("oxide", "nested", made("oxide"), "Thickness ~ Source + (1 | Lot/Wafer)",
        categories = list(Source = c("1", "2"))),
  model("machines", "nested", made("machines"), "score ~ Machine + (1 | Worker/Machine)"),
  model("pixel", "nested", made("pixel"), "pixel ~ day + I(day**2) + (day | Dog) + (1 | Dog:Side)"),
  model("schools_two_levels", "nested", made("schools"), "y ~ x + (1 | region/school)"),
  model("schools_three_levels", "nested", made("schools"), "y ~ x + (1 | region/school/class)"),
  model("schools_inner_slope", "nested", made("schools"), "y ~ x + (1 | region) + (x | region:school)"),
  model("schools_outer_slope", "nested", made("schools"), "y ~ x + (x || region) + (1 | region:school)"),
  model("schools_both_slopes", "nested", made("schools"), "y ~ x + (x | region) + (0 + x | region:school)"),
  model("three_centres", "nested", made("three_centres"), "y ~ x + (1 | centre/patient)"),
  model("three_centres_implicit", "nested", made("three_centres"), "y ~ x + (1 | patient) + (1 | centre)"),
  model("farms_ar1", "nested", made("farms"), "y ~ t + (1 | farm/plot)", random = "~ 1 | farm/plot",
        residual = ar1("t", NULL, "farm/plot")),
  model("farms_slope_car1", "nested", made("farms"), "y ~ t + (t | farm) + (1 | farm:plot)",
        random = "list(farm = ~ t, plot = ~ 1)", residual = car1("t", NULL, "farm/plot")),
  model("farms_exponential_nugget", "nested", made("farms"), "y ~ t + (1 | farm/plot)",
        random = "~ 1 | farm/plot", residual = exponential("t", NULL, TRUE, "farm/plot")),

  # ---- designs ----
  model("oats_split_plot", "designs", made("oats"), "yield ~ nitro * Variety + (1 | Block/Variety)"),
  model("oats_factor", "designs", made("oats"), "yield ~ nitro * Variety + (1 | Block/Variety)",
        categories = list(nitro = c("0", "0.2", "0.4", "0.6"))),
  model("trial_repeated_measures", "designs", made("trial"), "y ~ period * arm + (1 | id)"),
  model("single_rows", "designs", made("single_rows"), "y ~ x + (1 | id)"),
  model("single_rows_ar1", "designs", made("single_rows"), "y ~ x", residual = ar1("time", "id")),
  model("rank_deficient_sum", "designs", made("rank_deficient"), "y ~ a + b + total + site + (1 | id)"),
  model("rank_deficient_cell", "designs", made("rank_deficient"), "y ~ treatment * site + a + (1 | id)"),
  model("wild_scales", "designs", made("wild_scales"), "y ~ small + large + (small | id)",
        scale = list(small = 1e6, large = 1e-7)),
  model("rail", "designs", made("rail"), "travel ~ 1 + (1 | Rail)"),
  model("twelve_rows", "designs", made("twelve_rows"), "y ~ x + (1 | id)"),
  model("two_thousand", "designs", made("two_thousand"), "y ~ time * arm + (time | id)"),

  # ---- weights, offset ----
  model("weights_slope", "weights and offset", made("counts"), "y ~ time + known + (time | id)", weights = "count"),
  model("weights_offset_nested", "weights and offset", made("counts"), "y ~ time * arm + (1 | site/id)",
        weights = "count", offset = "known"),
  model("offset_slope", "weights and offset", made("counts"), "y ~ time + (time || id)", offset = "known"),

  # ---- variance structures ----
  model("orthodont_by_sex", "variance", raw("orthodont"), paste(growth, "+ (age | Subject)"),
        random = "~ age | Subject", variance = by_group("Sex")),
  model("unequal_arms", "variance", made("unequal_arms"), "y ~ visit * arm", variance = by_group("arm")),
  model("unequal_arms_ar1", "variance", made("unequal_arms"), "y ~ visit * arm", residual = ar1("visit", "id"),
        variance = by_group("arm")),
  model("unequal_arms_intercept_car1", "variance", made("unequal_arms"), "y ~ visit * arm + (1 | id)",
        random = "~ 1 | id", residual = car1("visit", "id"), variance = by_group("arm")),
  model("trial_by_period_ar1", "variance", made("trial"), score, residual = ar1("visit", "id"),
        variance = by_group("period")),
  model("dialyzer_power", "variance", made("dialyzer"), "rate ~ pressure + I(pressure**2) + I(pressure**3)",
        variance = power_of("pressure")),
  model("dialyzer_power_ar1", "variance", made("dialyzer"), "rate ~ pressure + I(pressure**2) + I(pressure**3)",
        residual = ar1("index", "Subject"), variance = power_of("pressure")),
  model("dialyzer_power_slope", "variance", made("dialyzer"),
        "rate ~ pressure + I(pressure**2) + (pressure | Subject)", random = "~ pressure | Subject",
        variance = power_of("pressure")),
  model("spread_power_dose", "variance", made("growing_spread"), "y ~ dose + (1 | id)", random = "~ 1 | id",
        variance = power_of("dose")),
  model("spread_power_fitted", "variance", made("growing_spread"), "y ~ dose", variance = power_of("fitted")),
  model("spread_power_fitted_intercept", "variance", made("growing_spread"), "y ~ dose + (1 | id)",
        random = "~ 1 | id", variance = power_of("fitted")),
  model("chickweight_power_fitted", "variance", made("chickweight"), "weight ~ Time + Time:Diet",
        variance = power_of("fitted"), categories = chicks),
  model("chickweight_power_fitted_slope", "variance", made("chickweight"),
        "weight ~ Time + Time:Diet + (0 + Time | Chick)", random = "~ 0 + Time | Chick",
        variance = power_of("fitted"), categories = chicks),
  model("bodyweight_power_fitted", "variance", raw("bodyweight"), "weight ~ Time * Diet + (Time | Rat)",
        random = "~ Time | Rat", residual = exponential("Time", "Rat"), variance = power_of("fitted"),
        categories = diets)
)
