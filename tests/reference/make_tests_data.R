# Write the CSV inputs of the tests of fixed effects and of the estimated marginal means (simulated, fixed seeds).
# Run from the root of the repository:  Rscript tests/reference/make_tests_data.R

RNGkind("Mersenne-Twister", "Inversion", "Rejection")
write_data <- function(frame, file) {
  write.csv(frame, file.path("tests/reference/data", file), row.names = FALSE, quote = FALSE, eol = "\n")
}

# 36 subjects in three arms and two sexes of unequal size, three visits in two conditions, a quarter of the rows
# missing: no factor is balanced over another. x is a covariate of the row, z one of the subject; twice is 2 x + 1.
set.seed(2001)
factorial <- do.call(rbind, lapply(1:36, function(i) {
  arm <- c("a", "b", "b", "c", "c", "c")[i %% 6 + 1]
  sex <- c("f", "m", "m", "f", "m")[i %% 5 + 1]
  rows <- expand.grid(visit = c("v1", "v2", "v3"), condition = c("calm", "noise"), stringsAsFactors = FALSE)
  visit <- match(rows$visit, c("v1", "v2", "v3"))
  x <- round(runif(6, 1, 9), 2)
  z <- round(rnorm(1, 50, 10), 1)
  y <- 20 + 2 * (arm == "b") + 3 * (arm == "c") * (visit == 3) + visit + (sex == "m") * (rows$condition == "noise") +
    (.4 + .3 * (arm == "c")) * x + .05 * z - .02 * x^2 + rnorm(1, sd = 2) + rnorm(1, sd = .4) * x + rnorm(6, sd = 1.5)
  data.frame(id = sprintf("S%02d", i), arm, sex, rows, x, z, twice = 2 * x + 1, y = round(y, 4))[runif(6) > .25, ]
}))
write_data(factorial, "factorial.csv")

# The same rows without the combination of arm c and visit v2.
write_data(subset(factorial, !(arm == "c" & visit == "v2")), "factorial_empty_cell.csv")
# Without that of arm a and visit v1, the references, as well.
write_data(subset(factorial, !(arm == "c" & visit == "v2") & !(arm == "a" & visit == "v1")),
           "factorial_empty_cells.csv")
