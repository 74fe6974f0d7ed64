# Cluster-robust inference by clubSandwich, leaving out one subject by lme4 and nlme, autocorrelation and semivariogram
# by nlme, tests of constant variance by car and lmtest: writes tests/reference/diagnostics_reference.json. Run from the
# root of the repository:
#   Rscript tests/reference/diagnostics_reference.R

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
  library(clubSandwich)
  library(jsonlite)
})
options(contrasts = c("contr.treatment", "contr.treatment"))

tight_lmer <- lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
                          optCtrl = list(xtol_abs = 1e-13, xtol_rel = 0, ftol_abs = 1e-14, maxeval = 1e5))
tight_lme <- lmeControl(msTol = 1e-14, tolerance = 1e-12, niterEM = 100, msMaxIter = 1000, maxIter = 1000)
tight_gls <- glsControl(msTol = 1e-14, tolerance = 1e-12, msMaxIter = 1000, maxIter = 1000)

read <- function(name) read.csv(paste0("data/raw/", name, ".csv"), stringsAsFactors = TRUE)
sleep <- read("sleepstudy")
holes <- c(0, 1, 2, 4, 7, 12, 20, 33, 54, 60:66, 88, 101, 102, 140:147)  # rows left out, counted from 0
unbalanced <- sleep[-(holes + 1), ]
orthodont <- read("orthodont")
orthodont$Sex <- relevel(orthodont$Sex, "Female")
orthodont$visit <- orthodont$age / 2 - 3  # nlme refuses a negative correlation over steps of two
bodyweight <- within(read("bodyweight"), Diet <- factor(Diet))

# ---- cluster-robust ----

sandwich <- function(fit, joint) {
  kinds <- lapply(c(CR0 = "CR0", CR2 = "CR2"), function(kind) {
    tests <- coef_test(fit, vcov = kind, test = "Satterthwaite", p_values = TRUE)
    F <- Wald_test(fit, constraints = constrain_zero(joint), vcov = kind, test = "HTZ")
    list(vcov = unname(as.matrix(vcovCR(fit, type = kind))), df = tests$df_Satt, p_value = tests$p_Satt,
         joint = list(terms = joint - 1, statistic = F$Fstat, num_df = F$df_num, den_df = F$df_denom,
                      p_value = F$p_val))
  })
  c(list(call = paste(deparse(getCall(fit)), collapse = " ")), kinds)
}

robust <- list(
  sleepstudy_unbalanced = sandwich(
    lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), unbalanced, control = tight_lmer), 2:3),
  orthodont_slope = sandwich(
    lmer(distance ~ age * Sex + (age | Subject), orthodont, control = tight_lmer), 2:4),
  bodyweight_slope = sandwich(
    lme(weight ~ Time * Diet, bodyweight, ~ Time | Rat, control = tight_lme), 5:6),
  orthodont_intercept_ar1 = sandwich(
    lme(distance ~ age * Sex, orthodont, ~ 1 | Subject, corAR1(form = ~ visit | Subject), control = tight_lme), 3:4),
  sleepstudy_ar1 = sandwich(
    gls(Reaction ~ Days, unbalanced, corAR1(form = ~ Days | Subject), control = tight_gls), 1:2)
)

# ---- leaving out one subject ----

left_out <- function(fit, refit, data, subject) {
  levels <- unique(as.character(data[[subject]]))
  one <- function(level) {
    again <- refit(data[data[[subject]] != level, ])
    found <- if (inherits(again, "merMod")) {
      list(beta = fixef(again), vcov = as.matrix(vcov(again)), sigma = sigma(again),
           sd = unname(attr(VarCorr(again)[[1]], "stddev")))
    } else {
      list(beta = fixef(again), vcov = vcov(again), sigma = again$sigma,
           sd = suppressWarnings(as.numeric(VarCorr(again)[-nrow(VarCorr(again)), "StdDev"])),
           rho = unname(coef(again$modelStruct$corStruct, unconstrained = FALSE)))
    }
    found$vcov <- unname(found$vcov)
    c(list(level = level), lapply(found, unname))
  }
  lapply(levels, one)
}

slope <- function(data) lmer(Reaction ~ Days + (Days | Subject), data, control = tight_lmer)
growth <- function(data) lmer(distance ~ age * Sex + (age | Subject), data, control = tight_lmer)
serial <- function(data) {
  lme(distance ~ age * Sex, data, ~ 1 | Subject, corAR1(form = ~ visit | Subject), control = tight_lme)
}
influence <- list(
  sleepstudy_slope = left_out(slope(sleep), slope, sleep, "Subject"),
  sleepstudy_unbalanced = left_out(slope(unbalanced), slope, unbalanced, "Subject"),
  orthodont_slope = left_out(growth(orthodont), growth, orthodont, "Subject"),
  orthodont_intercept_ar1 = left_out(serial(orthodont), serial, orthodont, "Subject")
)

# lme4's own deletion of subjects, for its Cook's distances (with the covariance of the full fit).
full <- lmer(Reaction ~ Days + (Days | Subject), sleep, control = tight_lmer)
deleted <- stats::influence(full, groups = "Subject")
change <- sweep(-deleted[["fixed.effects[-Subject]"]], 2, -fixef(full), FUN = "-")
cook <- rowSums((change %*% solve(as.matrix(vcov(full)))) * change) / 2
cooks <- list(level = names(cook), distance = unname(cook))

# ---- serial correlation and tests of constant variance, on residuals of gls ----

marginal <- gls(distance ~ age * Sex, orthodont, corAR1(form = ~ visit | Subject), control = tight_gls)
left <- as.numeric(resid(marginal, type = "normalized"))
levene <- car::leveneTest(left, orthodont$Sex, center = median)
score <- lmtest::bptest(lm(left ~ 1), ~ fitted(marginal))
acf <- ACF(marginal, form = ~ visit | Subject, resType = "normalized", maxLag = 3)
pairs <- Variogram(marginal, form = ~ visit | Subject, resType = "response", collapse = "none")
serial <- list(acf = acf$ACF, distance = sort(unique(pairs$dist)),
               semivariogram = as.numeric(tapply(pairs$variog, pairs$dist, mean)))
variance <- list(
  residual = left,
  levene = list(statistic = levene[1, "F value"], num_df = levene[1, "Df"], den_df = levene[2, "Df"],
                p_value = levene[1, "Pr(>F)"]),
  breusch_pagan = list(statistic = unname(score$statistic), df = unname(score$parameter),
                       p_value = unname(score$p.value))
)

versions <- sapply(c("lme4", "nlme", "clubSandwich", "car", "lmtest"), function(p) as.character(packageVersion(p)))
write_json(list(versions = as.list(c(R = as.character(getRversion()), versions)), holes = holes, robust = robust,
                influence = influence, cooks = cooks, serial = serial, variance = variance),
           "tests/reference/diagnostics_reference.json", digits = NA, auto_unbox = TRUE, pretty = 1)
