# Write the CSV inputs of the reference fits: data sets of lme4 and simulated ones (fixed seeds).
# Run from the root of the repository:  Rscript tests/reference/make_data.R

suppressPackageStartupMessages(library(lme4))
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

write_data <- function(frame, file) {
  write.csv(frame, file.path("tests/reference/data", file), row.names = FALSE, quote = FALSE, eol = "\n")
}

# ---- data sets of lme4 ----
write_data(Dyestuff, "dyestuff.csv")
write_data(Dyestuff2, "dyestuff2.csv")
write_data(Penicillin, "penicillin.csv")
write_data(data.frame(angle = cake$angle, recipe = cake$recipe, temp = cake$temp,
                      batch = sprintf("%s%02d", cake$recipe, as.integer(as.character(cake$replicate)))),
           "cake.csv")

# ---- simulated data sets ----
ids <- function(prefix, i) sprintf("%s%02d", prefix, i)

# AR(1) noise at whole-number times.
noise_ar1 <- function(times, rho, sd) {
  as.vector(crossprod(chol(rho^abs(outer(times, times, "-"))), rnorm(length(times)))) * sd
}

# 40 subjects, 1 to 12 rows each at irregular times; random intercept, slope and curvature.
set.seed(101)
unbalanced <- do.call(rbind, lapply(1:40, function(i) {
  time <- round(sort(runif(sample(1:12, 1), 0, 6)), 2)
  b <- crossprod(chol(matrix(c(9, 1, -.5, 1, 4, -.4, -.5, -.4, .25), 3)), rnorm(3))
  group <- c("control", "treated")[i %% 2 + 1]
  y <- 20 + 3 * time - .4 * time^2 + 1.5 * (group == "treated") + cbind(1, time, time^2) %*% b +
    rnorm(length(time), sd = 2)
  data.frame(id = ids("S", i), group = group, time = time, y = round(as.vector(y), 4))
}))
write_data(unbalanced, "unbalanced.csv")

# Intercept and slope of a subject are one number times (1, sign * 0.5): the estimated correlation is
# +1 or -1.
perfect_correlation <- function(seed, sign) {
  set.seed(seed)
  do.call(rbind, lapply(1:15, function(i) {
    time <- 0:4
    u <- rnorm(1, sd = 2)
    y <- 10 + time + u * (1 + sign * .5 * time) + rnorm(5, sd = 3)
    data.frame(id = ids("S", i), time = time, y = round(y, 4))
  }))
}
write_data(perfect_correlation(201, +1), "correlation_plus_one.csv")
write_data(perfect_correlation(211, -1), "correlation_minus_one.csv")

# Two arms with a mean line each, for a fixed part without an intercept.
set.seed(301)
write_data(do.call(rbind, lapply(1:24, function(i) {
  arm <- c("active", "placebo")[i %% 2 + 1]
  time <- 0:5
  y <- 50 + (arm == "active") * 2 - (2 - (arm == "active")) * time + rnorm(1, sd = 5) +
    rnorm(1, sd = .8) * time + rnorm(6, sd = 2)
  data.frame(id = ids("S", i), arm = arm, time = time, y = round(y, 3))
})), "two_arms.csv")

# A response near one million on uncentred calendar years, some years missing.
set.seed(401)
write_data(do.call(rbind, lapply(1:20, function(i) {
  year <- sort(sample(1990:2020, sample(20:31, 1)))
  y <- 1e6 + 1500 * (year - 2005) + rnorm(1, sd = 9000) + rnorm(1, sd = 400) * (year - 2005) +
    rnorm(length(year), sd = 2500)
  data.frame(region = ids("R", i), year = year, y = round(y, 1))
})), "calendar.csv")

# Serial correlation: visits 1..8 with 20 % missing at random, so gaps of 1, 2, 3, ...
serial <- function(subjects, visits, rho, missing, intercept_sd, slope_sd) {
  do.call(rbind, lapply(seq_len(subjects), function(i) {
    visit <- seq_len(visits)
    arm <- c("active", "placebo")[i %% 2 + 1]
    y <- 30 + (.5 + .4 * (arm == "active")) * visit + rnorm(1, sd = intercept_sd) +
      rnorm(1, sd = slope_sd) * visit + noise_ar1(visit, rho, 3)
    data.frame(id = ids("S", i), arm = arm, visit = visit, y = round(y, 4))[runif(visits) >= missing, ]
  }))
}
set.seed(501)
write_data(serial(40, 8, .5, .2, 4, 0), "gaps_rho_positive.csv")
set.seed(502)
write_data(serial(60, 8, -.4, .2, 4, 0), "gaps_rho_negative.csv")
set.seed(503)
write_data(serial(50, 8, .6, .2, 4, .7), "gaps_slope.csv")
set.seed(504)
write_data(serial(10, 60, .5, 0, 4, 0), "long.csv")
set.seed(508)
write_data(serial(30, 8, -.4, .2, 0, 0), "no_intercept.csv")
