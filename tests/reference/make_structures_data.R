# Write the CSV inputs of the second battery: data sets of nlme, lme4 and R, and simulated ones (fixed seeds).
# Run from the root of the repository:  Rscript tests/reference/make_structures_data.R

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
})
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

write_data <- function(frame, file) {
  write.csv(frame, file.path("tests/reference/data", file), row.names = FALSE, quote = FALSE, eol = "\n")
}
plain <- function(frame) {
  frame <- as.data.frame(frame)
  frame[] <- lapply(frame, function(x) if (is.factor(x)) as.character(x) else x)
  frame
}

# ---- data sets of R packages ----
write_data(transform(plain(Oats), Variety = gsub(" ", "_", Variety)), "oats.csv")
write_data(plain(Pastes)[c("strength", "batch", "cask")], "pastes.csv")
write_data(plain(Oxide), "oxide.csv")
write_data(plain(Machines), "machines.csv")
write_data(plain(Pixel), "pixel.csv")
write_data(plain(Oxboys), "oxboys.csv")
write_data(plain(Milk), "milk.csv")
write_data(plain(Dialyzer), "dialyzer.csv")
write_data(plain(Rail), "rail.csv")
write_data(plain(Loblolly), "loblolly.csv")
write_data(plain(ChickWeight), "chickweight.csv")

# ---- simulated data sets ----
ids <- function(prefix, i) sprintf("%s%02d", prefix, i)
bind <- function(n, one) do.call(rbind, lapply(seq_len(n), one))
draw <- function(covariance) as.vector(crossprod(chol(covariance), rnorm(nrow(covariance))))
arms <- c("active", "placebo")

# A trial: 120 subjects, visits 1..5 in weeks 0, 2, 4, 8, 12, unstructured covariance; drop-out that depends
# on the last score, and visits missed in between.
set.seed(1001)
sd <- c(4, 5, 5.5, 7, 8)
correlation <- .8^abs(outer(1:5, 1:5, "-")) * .8 + .2
covariance <- correlation * outer(sd, sd)
write_data(bind(120, function(i) {
  arm <- arms[i %% 2 + 1]
  base <- round(rnorm(1, 50, 8), 1)
  y <- 10 + .6 * base - (1 + (arm == "active")) * 0:4 + draw(covariance)
  stays <- cumprod(c(1, runif(4) > plogis(-3.2 + .08 * (y[1:4] - 38)))) == 1
  seen <- stays & c(TRUE, runif(4) > .08)
  data.frame(id = ids("P", i), arm = arm, base = base, visit = 1:5, week = c(0, 2, 4, 8, 12),
             period = paste0("v", 1:5), y = round(y, 3))[seen, ]
}), "trial.csv")

# Negative correlation within litters of 2 to 5 that share a fixed amount: rho = -0.2, lowest value -0.25.
set.seed(1002)
write_data(bind(60, function(i) {
  n <- sample(2:5, 1)
  dose <- runif(n)
  y <- 5 + 2 * dose + 1.5 * draw(diag(1.2, n) - .2)
  data.frame(litter = ids("L", i), dose = round(dose, 3), y = round(y, 4))
}), "litters.csv")

# Irregular times in [0, 10]: exponential or Gaussian correlation of range 1.5, measurement error 0.25.
irregular <- function(seed, power, slope_sd) {
  set.seed(seed)
  bind(50, function(i) {
    time <- sort(unique(round(runif(sample(1:12, 1), 0, 10), 2)))
    n <- length(time)
    arm <- arms[i %% 2 + 1]
    R <- .75 * exp(-(abs(outer(time, time, "-")) / 1.5)^power) + diag(.25, n)
    y <- 20 + (.5 + .3 * (arm == "active")) * time + rnorm(1, sd = 2) + rnorm(1, sd = slope_sd) * time +
      2.5 * draw(R)
    data.frame(id = ids("S", i), arm = arm, time = time, y = round(y, 4))
  })
}
write_data(irregular(1003, 1, .4), "irregular_exponential.csv")
write_data(irregular(1004, 2, .4), "irregular_gaussian.csv")

# Whole-number times 1..20 with gaps, CAR(1) correlation 0.7, nothing else between the subjects.
set.seed(1005)
write_data(bind(40, function(i) {
  day <- sort(sample(1:20, sample(3:10, 1)))
  y <- 12 - .2 * day + 3 * draw(.7^abs(outer(day, day, "-")))
  data.frame(id = ids("S", i), day = day, y = round(y, 4))
}), "days_with_gaps.csv")

# Three levels with labels used again in every parent: 6 regions, 2 to 6 schools, 1 to 5 classes, 1 to 8 rows.
set.seed(1006)
write_data(bind(6, function(a) {
  region <- rnorm(1, sd = 3)
  bind(sample(2:6, 1), function(b) {
    school <- rnorm(2, sd = c(2, .8))
    bind(sample(1:5, 1), function(c) {
      x <- round(runif(sample(1:8, 1), -2, 2), 3)
      y <- 30 + 1.5 * x + region + school[1] + school[2] * x + rnorm(1, sd = 1.5) + rnorm(length(x), sd = 2)
      data.frame(region = ids("r", a), school = ids("s", b), class = ids("c", c), x = x, y = round(y, 4))
    })
  })
}), "schools.csv")

# 3 large units with 700 small ones each, labels unique over the whole; 1 to 3 rows.
set.seed(1007)
write_data(bind(3, function(a) {
  centre <- rnorm(1, sd = 2)
  bind(700, function(b) {
    x <- round(runif(sample(1:3, 1)), 3)
    y <- 10 + 2 * x + centre + rnorm(1, sd = 1.2) + rnorm(length(x))
    data.frame(centre = ids("C", a), patient = sprintf("C%d-%03d", a, b), x = x, y = round(y, 3))
  })
}), "three_centres.csv")

# Two thousand subjects with 1 to 5 rows, random intercept and slope.
set.seed(1008)
write_data(bind(2000, function(i) {
  time <- sort(sample(0:4, sample(1:5, 1)))
  b <- draw(matrix(c(4, .5, .5, .3), 2))
  arm <- arms[i %% 2 + 1]
  y <- 5 + (.8 - .2 * (arm == "active")) * time + b[1] + b[2] * time + rnorm(length(time), sd = 1.5)
  data.frame(id = sprintf("S%04d", i), arm = arm, time = time, y = round(y, 3))
}), "two_thousand.csv")

# Series t = 1..6 (some missing) by plot in 8 farms: AR(1) noise within the plot, plot labels used again.
set.seed(1009)
write_data(bind(8, function(a) {
  farm <- rnorm(2, sd = c(3, .5))
  bind(sample(3:6, 1), function(b) {
    t <- 1:6
    y <- 40 + 2 * t + farm[1] + farm[2] * t + rnorm(1, sd = 2) + 1.8 * draw(.6^abs(outer(t, t, "-")))
    data.frame(farm = ids("F", a), plot = ids("p", b), t = t, y = round(y, 4))[runif(6) > .15, ]
  })
}), "farms.csv")

# Crossover: every subject under three conditions, twice each; between-subject factor sex; the spread between
# subjects differs by condition and by sex.
set.seed(1010)
write_data(bind(36, function(i) {
  sex <- c("female", "male")[i %% 2 + 1]
  b <- draw(matrix(c(4, 2, 1, 2, 6, 2, 1, 2, 9), 3)) * (if (sex == "male") 1.5 else 1)
  condition <- rep(c("calm", "noise", "stress"), 2)
  y <- c(10, 12, 15)[match(condition, unique(condition))] + b[match(condition, unique(condition))] +
    rnorm(6, sd = 1.5)
  data.frame(id = ids("S", i), sex = sex, condition = condition, y = round(y, 3))
}), "crossover.csv")

# Predictors on wild scales (about 1e-6 and 1e7), a random slope on the small one.
set.seed(1011)
write_data(bind(30, function(i) {
  small <- signif(runif(8, 1, 5), 4)
  large <- signif(rnorm(8, 5, 2), 4)
  b <- draw(matrix(c(9, 1, 1, 2), 2))
  y <- 100 + 3 * small - 2 * large + b[1] + b[2] * small + rnorm(8, sd = 2)
  data.frame(id = ids("S", i), small = small / 1e6, large = large * 1e7, y = round(y, 4))
}), "wild_scales.csv")

# A rank-deficient fixed part: total = a + b, and no rows of treatment t3 at site s2.
set.seed(1012)
write_data(bind(25, function(i) {
  site <- c("s1", "s2")[i %% 2 + 1]
  treatment <- sample(if (site == "s2") c("t1", "t2") else c("t1", "t2", "t3"), 4, TRUE)
  a <- round(runif(4), 3)
  b <- round(runif(4), 3)
  y <- 7 + a - 2 * b + (treatment == "t2") + (site == "s2") + rnorm(1, sd = 1.5) + rnorm(4)
  data.frame(id = ids("S", i), site = site, treatment = treatment, a = a, b = b, total = a + b, y = round(y, 4))
}), "rank_deficient.csv")

# Most subjects have a single row.
set.seed(1013)
write_data(bind(80, function(i) {
  n <- if (i %% 4 == 0) 4 else 1
  x <- round(rnorm(n), 3)
  data.frame(id = ids("S", i), x = x, time = seq_len(n), y = round(3 + x + rnorm(1, sd = 2) + rnorm(n), 4))
}), "single_rows.csv")

# Means of `count` readings (weight = count) on top of a known amount (offset); residual SD by arm 1 and 2.
set.seed(1014)
write_data(bind(40, function(i) {
  time <- 0:5
  arm <- arms[i %% 2 + 1]
  count <- sample(1:12, 6, TRUE)
  known <- round(runif(6, 0, 20), 2)
  y <- 20 + .7 * time + known + rnorm(1, sd = 2) + rnorm(1, sd = .5) * time + rnorm(6, sd = 4 / sqrt(count))
  data.frame(id = ids("S", i), site = ids("H", (i - 1) %/% 8 + 1), arm = arm, time = time, count = count,
             known = known, y = round(y, 4))
}), "counts.csv")

# The residual SD is 1 under placebo and 2.5 under active treatment, AR(1) with rho 0.5.
set.seed(1015)
write_data(bind(40, function(i) {
  visit <- 1:6
  arm <- arms[i %% 2 + 1]
  y <- 8 + .5 * visit + rnorm(1, sd = 1.5) + (if (arm == "active") 2.5 else 1) *
    draw(.5^abs(outer(visit, visit, "-")))
  data.frame(id = ids("S", i), arm = arm, visit = visit, y = round(y, 4))[runif(6) > .1, ]
}), "unequal_arms.csv")

# The residual SD is 0.15 mean^0.8 for means between 5 and 60.
set.seed(1016)
write_data(bind(40, function(i) {
  dose <- c(1, 2, 4, 8)
  mean <- 4 + 6 * dose + rnorm(1, sd = 1)
  data.frame(id = ids("S", i), dose = dose, y = round(mean + .15 * (4 + 6 * dose)^.8 * rnorm(4), 4))
}), "growing_spread.csv")

# Twelve rows.
set.seed(1017)
write_data(bind(4, function(i) {
  x <- 0:2
  data.frame(id = ids("S", i), x = x, y = round(5 + x + rnorm(1, sd = 3) + rnorm(3), 3))
}), "twelve_rows.csv")
