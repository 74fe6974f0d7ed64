# The models of the reference: every one is fitted by ML and by REML.
# `formula` is lme4 notation. `ar1` = c(time, subject) asks for AR(1) residuals (fitted by nlme).
# `categories` gives the levels, reference first, of what is a factor although it looks like a number,
# or whose reference is not the alphabetical first.
# `centre` lets R fit at x - centre; the results are carried back to x.

model <- function(id, data, formula, ar1 = NULL, categories = NULL, centre = NULL) {
  list(id = id, data = data, formula = formula, ar1 = ar1, categories = categories, centre = centre)
}
raw <- function(name) paste0("data/raw/", name, ".csv")
made <- function(name) paste0("tests/reference/data/", name, ".csv")

diets <- list(Diet = c("1", "2", "3"))
cycle <- "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)"

models <- list(
  model("sleepstudy_intercept", raw("sleepstudy"), "Reaction ~ Days + (1 | Subject)"),
  model("sleepstudy_slope", raw("sleepstudy"), "Reaction ~ Days + (Days | Subject)"),
  model("sleepstudy_uncorrelated", raw("sleepstudy"), "Reaction ~ Days + (Days || Subject)"),
  model("sleepstudy_slope_only", raw("sleepstudy"), "Reaction ~ Days + (0 + Days | Subject)"),
  model("dyestuff", made("dyestuff"), "Yield ~ 1 + (1 | Batch)"),
  model("dyestuff2_zero_variance", made("dyestuff2"), "Yield ~ 1 + (1 | Batch)"),
  model("penicillin_plate", made("penicillin"), "diameter ~ sample + (1 | plate)"),
  model("cake_batch", made("cake"), "angle ~ recipe * temp + (1 | batch)"),
  model("orthodont_intercept", raw("orthodont"), "distance ~ age * Sex + (1 | Subject)"),
  model("orthodont_slope", raw("orthodont"), "distance ~ age * Sex + (age | Subject)"),
  model("orthodont_male_first", raw("orthodont"), "distance ~ age * Sex + (age | Subject)",
        categories = list(Sex = c("Male", "Female"))),
  model("bodyweight_slope", raw("bodyweight"), "weight ~ Time * Diet + (Time | Rat)",
        categories = diets),
  model("unbalanced_intercept", made("unbalanced"), "y ~ time + I(time**2) + group + (1 | id)"),
  model("unbalanced_quadratic", made("unbalanced"),
        "y ~ time + I(time**2) + group + (time + I(time**2) | id)"),
  model("correlation_plus_one", made("correlation_plus_one"), "y ~ time + (time | id)"),
  model("correlation_minus_one", made("correlation_minus_one"), "y ~ time + (time | id)"),
  model("no_fixed_intercept", made("two_arms"), "y ~ 0 + arm + arm:time + (time | id)"),
  model("placebo_first", made("two_arms"), "y ~ time * arm + (time | id)",
        categories = list(arm = c("placebo", "active"))),
  model("calendar_year", made("calendar"), "y ~ year + (year | region)", centre = list(year = 2005)),

  model("ovary_ar1", raw("ovary"), cycle, ar1 = c("Visit", "Mare")),
  model("ovary_intercept_ar1", raw("ovary"), paste(cycle, "+ (1 | Mare)"), ar1 = c("Visit", "Mare")),
  model("ovary_slope_ar1", raw("ovary"), paste(cycle, "+ (sin(2*pi*Time) | Mare)"),
        ar1 = c("Visit", "Mare")),
  model("ovary_uncorrelated_ar1", raw("ovary"), paste(cycle, "+ (sin(2*pi*Time) || Mare)"),
        ar1 = c("Visit", "Mare")),
  model("bodyweight_ar1", raw("bodyweight"), "weight ~ Time * Diet",
        ar1 = c("Time", "Rat"), categories = diets),
  model("bodyweight_intercept_ar1", raw("bodyweight"), "weight ~ Time * Diet + (1 | Rat)",
        ar1 = c("Time", "Rat"), categories = diets),
  model("bodyweight_slope_ar1", raw("bodyweight"), "weight ~ Time * Diet + (Time | Rat)",
        ar1 = c("Time", "Rat"), categories = diets),
  model("sleepstudy_ar1", raw("sleepstudy"), "Reaction ~ Days", ar1 = c("Days", "Subject")),
  model("sleepstudy_intercept_ar1", raw("sleepstudy"), "Reaction ~ Days + (1 | Subject)",
        ar1 = c("Days", "Subject")),
  model("sleepstudy_slope_ar1", raw("sleepstudy"), "Reaction ~ Days + (Days | Subject)",
        ar1 = c("Days", "Subject")),
  model("gaps_rho_positive_ar1", made("gaps_rho_positive"), "y ~ visit * arm", ar1 = c("visit", "id")),
  model("gaps_rho_positive", made("gaps_rho_positive"), "y ~ visit * arm + (1 | id)",
        ar1 = c("visit", "id")),
  model("no_intercept_ar1", made("no_intercept"), "y ~ visit * arm", ar1 = c("visit", "id")),
  model("no_intercept_zero_variance_ar1", made("no_intercept"), "y ~ visit * arm + (1 | id)",
        ar1 = c("visit", "id")),
  model("gaps_rho_negative", made("gaps_rho_negative"), "y ~ visit * arm + (1 | id)",
        ar1 = c("visit", "id")),
  model("gaps_slope_ar1", made("gaps_slope"), "y ~ visit * arm + (visit | id)", ar1 = c("visit", "id")),
  model("long_intercept_ar1", made("long"), "y ~ visit * arm + (1 | id)", ar1 = c("visit", "id"))
)
