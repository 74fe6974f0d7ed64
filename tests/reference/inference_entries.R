# The models of the battery of inference, and the data sets of R packages that have no CSV in the repository.

# These go into the JSON, factors as text.
packaged <- list(
  alfalfa = Alfalfa, assay = Assay, cbpp = cbpp, co2 = CO2, ergostool = ergoStool, gasoline = Gasoline,
  glucose = Glucose[!is.na(Glucose$conc), ], gun = Gun, igf = IGF, meat = Meat, npk = npk, orange = Orange,
  rat_pups = RatPupWeight, sleep = sleep, tetracycline = Tetracycline1, theoph = Theoph, wafer = Wafer,
  warpbreaks = cbind(warpbreaks, run = factor(rep(1:9, 6)))
)
packaged <- lapply(packaged, function(frame) {
  frame <- as.data.frame(frame)
  frame[] <- lapply(frame, function(x) if (is.factor(x)) trimws(as.character(x)) else as.vector(x))
  frame
})

# `data` is a CSV or a name of `packaged`; `drop` are rows left out, counted from 0; `categories` gives levels,
# reference first, of numbers that are labels and where the reference is not the first in the alphabet.
model <- function(id, data, formula, ...) c(list(id = id, data = data, formula = formula), list(...))
raw <- function(name) paste0("data/raw/", name, ".csv")
made <- function(name) paste0("tests/reference/data/", name, ".csv")

nitro <- list(nitro = c("0", "0.2", "0.4", "0.6"))
diets <- list(Diet = c("1", "2", "3"))
holes <- c(0, 1, 2, 4, 7, 12, 20, 33, 54)  # Fibonacci numbers, less one
models <- list(
  # random intercept
  model("sleepstudy_intercept", raw("sleepstudy"), "Reaction ~ Days + (1 | Subject)"),
  model("dyestuff", made("dyestuff"), "Yield ~ 1 + (1 | Batch)"),
  model("dyestuff2", made("dyestuff2"), "Yield ~ 1 + (1 | Batch)"),
  model("rail", made("rail"), "travel ~ 1 + (1 | Rail)"),
  model("penicillin", made("penicillin"), "diameter ~ sample + (1 | plate)"),
  model("ergostool", "ergostool", "effort ~ Type + (1 | Subject)"),
  model("orthodont_intercept", raw("orthodont"), "distance ~ age * Sex + (1 | Subject)"),
  model("sleep_paired", "sleep", "extra ~ group + (1 | ID)", categories = list(group = c("1", "2"))),
  model("npk", "npk", "yield ~ N * P * K + (1 | block)",
        categories = list(N = c("0", "1"), P = c("0", "1"), K = c("0", "1"))),
  model("warpbreaks", "warpbreaks", "breaks ~ wool * tension + (1 | run)",
        categories = list(tension = c("L", "M", "H"))),
  model("gun", "gun", "rounds ~ Method * Physique + (1 | Team)",
        categories = list(Physique = c("Slight", "Average", "Heavy"))),
  model("co2", "co2", "uptake ~ log(conc) * Type * Treatment + (1 | Plant)",
        categories = list(Treatment = c("nonchilled", "chilled"))),
  # random intercept, unbalanced
  model("cbpp", "cbpp", "incidence ~ period + size + (1 | herd)",
        categories = list(period = c("1", "2", "3", "4"))),
  model("gasoline", "gasoline", "yield ~ endpoint + vapor + (1 | Sample)"),
  model("theoph", "theoph", "conc ~ Time + I(Time**2) + Dose + (1 | Subject)"),
  model("rat_pups", "rat_pups", "weight ~ sex * Treatment + Lsize + (1 | Litter)",
        categories = list(sex = c("Male", "Female"), Treatment = c("Control", "Low", "High"))),
  model("trial_factor_time", made("trial"), "y ~ base + period * arm + (1 | id)"),
  model("ergostool_unbalanced", "ergostool", "effort ~ Type + (1 | Subject)", drop = c(0, 6, 7, 21, 30)),
  # correlated slopes
  model("sleepstudy_slope", raw("sleepstudy"), "Reaction ~ Days + (Days | Subject)"),
  model("sleepstudy_slope_unbalanced", raw("sleepstudy"), "Reaction ~ Days + I(Days**2) + (Days | Subject)",
        drop = c(holes, 60:66, 88, 101, 102, 140:147)),
  model("orthodont_slope", raw("orthodont"), "distance ~ age * Sex + (age | Subject)"),
  model("bodyweight_slope", raw("bodyweight"), "weight ~ Time * Diet + (Time | Rat)", categories = diets),
  model("chickweight_slope", made("chickweight"), "weight ~ Time * Diet + (Time | Chick)",
        categories = list(Diet = c("1", "2", "3", "4"))),
  model("orange_slope", "orange", "circumference ~ age + (age | Tree)"),
  model("dialyzer_slope", made("dialyzer"), "rate ~ (pressure + I(pressure**2)) * QB + (pressure | Subject)",
        categories = list(QB = c("200", "300"))),
  model("oxboys_quadratic", made("oxboys"), "height ~ age + I(age**2) + (age + I(age**2) | Subject)"),
  model("unbalanced_quadratic", made("unbalanced"),
        "y ~ time + I(time**2) + group + (time + I(time**2) | id)"),
  model("machines_worker", made("machines"), "score ~ Machine + (0 + Machine | Worker)"),
  model("correlation_plus_one", made("correlation_plus_one"), "y ~ time + (time | id)"),
  # uncorrelated slopes
  model("sleepstudy_uncorrelated", raw("sleepstudy"), "Reaction ~ Days + (Days || Subject)"),
  model("loblolly_uncorrelated", made("loblolly"), "height ~ age + I(age**2) + (age || Seed)"),
  model("igf_uncorrelated", "igf", "conc ~ age + (age || Lot)"),
  # nested, split plot
  model("pastes", made("pastes"), "strength ~ 1 + (1 | batch/cask)"),
  model("oxide", made("oxide"), "Thickness ~ Source + (1 | Lot/Wafer)",
        categories = list(Source = c("1", "2"))),
  model("machines", made("machines"), "score ~ Machine + (1 | Worker/Machine)"),
  model("machines_unbalanced", made("machines"), "score ~ Machine + (1 | Worker/Machine)",
        drop = c(1, 2, 5, 18, 25, 32, 44, 45)),
  model("assay", "assay", "logDens ~ sample * dilut + (1 | Block/sample)",
        categories = list(dilut = c("1", "2", "3", "4", "5"))),
  model("pixel", made("pixel"), "pixel ~ day + I(day**2) + (day | Dog) + (1 | Dog:Side)"),
  model("glucose", "glucose", "conc ~ Meal + Time + I(Time**2) + (1 | Subject/Meal)",
        categories = list(Meal = c("2am", "6am", "10am", "2pm", "6pm", "10pm"))),
  model("tetracycline", "tetracycline", "conc ~ Formulation * Time + (1 | Subject/Formulation)",
        categories = list(Time = c("1", "2", "3", "6"))),
  model("wafer", "wafer", "current ~ voltage + I(voltage**2) + (voltage | Wafer) + (voltage | Wafer:Site)"),
  model("meat", "meat", "score ~ Storage + (1 | Block/Pair)",
        categories = list(Storage = c("0", "1", "2", "4", "9", "18"))),
  model("cake", made("cake"), "angle ~ recipe * temp + (1 | batch)",
        categories = list(temp = as.character(seq(175, 225, 10)))),
  model("alfalfa", "alfalfa", "Yield ~ Variety * Date + (1 | Block/Variety)"),
  model("oats", made("oats"), "yield ~ nitro * Variety + (1 | Block/Variety)", categories = nitro),
  model("oats_line", made("oats"), "yield ~ nitro * Variety + (1 | Block/Variety)"),
  model("oats_unbalanced", made("oats"), "yield ~ nitro + Variety + (1 | Block/Variety)", categories = nitro,
        drop = holes)
)

# For intervals() of nlme; `formula` is the engine's.
interval_models <- list(
  list(id = "orthodont_slope", data = raw("orthodont"), formula = "distance ~ age * Sex + (age | Subject)",
       random = "~ age | Subject"),
  list(id = "oxide", data = made("oxide"), formula = "Thickness ~ Source + (1 | Lot/Wafer)",
       random = "~ 1 | Lot/Wafer", categories = list(Source = c("1", "2"))),
  list(id = "orthodont_by_sex", data = raw("orthodont"), formula = "distance ~ age * Sex + (1 | Subject)",
       random = "~ 1 | Subject", variance = "varIdent(form = ~ 1 | Sex)"),
  list(id = "ovary_intercept_ar1", data = raw("ovary"),
       formula = "follicles ~ sin(2*pi*Time) + cos(2*pi*Time) + (1 | Mare)",
       random = "~ 1 | Mare", residual = "corAR1(form = ~ Visit | Mare)"),
  list(id = "trial_compound", data = made("trial"), formula = "y ~ base + visit * arm",
       residual = "corCompSymm(form = ~ 1 | id)"),
  list(id = "dialyzer_power_ar1", data = made("dialyzer"), formula = "rate ~ pressure + I(pressure**2)",
       residual = "corAR1(form = ~ index | Subject)", variance = "varPower(form = ~ pressure)")
)

profile_models <- c("dyestuff", "pastes", "sleepstudy_slope", "sleepstudy_uncorrelated", "orthodont_slope")

# Variances tested one at a time.
rlrt_models <- list(
  list(id = "npk", term = "(1 | block)"), list(id = "gun", term = "(1 | Team)"),
  list(id = "cbpp", term = "(1 | herd)"), list(id = "theoph", term = "(1 | Subject)"),
  list(id = "warpbreaks", term = "(1 | run)"),
  # One of two variances; the fit with only it (m), with both (mA) and without it (m0).
  list(id = "meat", term = "(1 | Block:Pair)", alone = "score ~ Storage + (1 | Block:Pair)",
       without = "score ~ Storage + (1 | Block)"),
  list(id = "alfalfa", term = "(1 | Block)", alone = "Yield ~ Variety * Date + (1 | Block)",
       without = "Yield ~ Variety * Date + (1 | Block:Variety)")
)

# Variances tested by ML.
lrt_models <- c("npk", "gun", "cbpp")
