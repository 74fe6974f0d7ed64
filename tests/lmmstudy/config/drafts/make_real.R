# Small excerpts of data sets from R packages, each written the way some program would write it.
# Rscript make_real.R, in this folder. R 4.2.2; versions and licences of the packages are in SOURCES.md.
suppressMessages({library(nlme); library(lme4); library(MASS); library(geepack); library(mlmRev)})

frame <- function(name, package) {
  place <- new.env()
  data(list = name, package = package, envir = place)
  whole <- as.data.frame(place[[name]])
  whole[] <- lapply(whole, function(x) if (is.factor(x)) as.character(x) else x)
  class(whole) <- "data.frame"
  attributes(whole) <- attributes(whole)[c("names", "row.names", "class")]
  whole
}
# Rows of every k-th subject, so that arms and diets stay mixed.
some <- function(d, subject, n) {
  ids <- unique(d[[subject]])
  d[d[[subject]] %in% ids[round(seq(1, length(ids), length.out = n))], , drop = FALSE]
}
out <- function(name) file.path("files", name)
csv <- function(d, name, ...) write.csv(d, out(name), row.names = FALSE, ...)
plain <- function(d, name) write.csv(d, out(name), row.names = FALSE, quote = FALSE)
german <- function(d, name) write.csv2(d, out(name), row.names = FALSE, quote = FALSE)
tabs <- function(d, name) write.table(d, out(name), sep = "\t", row.names = FALSE, quote = FALSE)
widened <- function(d, id, time, value, prefix) {
  kept <- unique(d[setdiff(names(d), c(time, value))])
  for (t in sort(unique(d[[time]]))) {
    at <- d[d[[time]] == t, ]
    kept[[sprintf("%s%s", prefix, format(t))]] <- at[[value]][match(kept[[id]], at[[id]])]
  }
  kept
}

# Long, with a time
csv(some(frame("Orthodont", "nlme"), "Subject", 8), "orthodont.csv")
german(some(frame("ChickWeight", "datasets"), "Chick", 8), "chickweight.csv")
tabs(some(frame("Oxboys", "nlme"), "Subject", 6), "oxboys.tsv")
tabs(some(frame("BodyWeight", "nlme"), "Rat", 6), "bodyweight.txt")
plain(some(frame("Ovary", "nlme"), "Mare", 3), "ovary.csv")
csv(frame("CO2", "datasets"), "co2.csv")
plain(some(frame("Loblolly", "datasets"), "Seed", 7), "loblolly.csv")
german(frame("Orange", "datasets"), "orange.csv")
plain(frame("Indometh", "datasets"), "indometh.csv")
write.table(some(frame("Theoph", "datasets"), "Subject", 6), out("theoph.txt"), sep = " ", row.names = FALSE)
csv(some(frame("Milk", "nlme"), "Cow", 6), "milk.csv")
csv(some(frame("Soybean", "nlme"), "Plot", 8), "soybean.csv")
plain(some(frame("Fatigue", "nlme"), "Path", 6), "fatigue.csv")
tabs(some(frame("Spruce", "nlme"), "Tree", 8), "spruce_nlme.tsv")
csv(some(frame("Phenobarb", "nlme"), "Subject", 8), "phenobarb.csv")
csv(some(frame("sleepstudy", "lme4"), "Subject", 6), "sleepstudy_lme4.csv")
csv(some(frame("epil", "MASS"), "subject", 12), "epil.csv")
csv(some(frame("bacteria", "MASS"), "ID", 12), "bacteria.csv")
csv(some(frame("dietox", "geepack"), "Pig", 6), "dietox.csv")
d <- frame("respiratory", "geepack")
csv(some(d[d$center == 1, ], "id", 14), "respiratory.csv")
plain(some(frame("ohio", "geepack"), "id", 16), "ohio.csv")
plain(some(frame("spruce", "geepack"), "id", 7), "spruce_geepack.csv")
plain(some(frame("sitka89", "geepack"), "tree", 8), "sitka.csv")
csv(some(frame("Early", "mlmRev"), "id", 20), "early.csv")
csv(some(frame("egsingle", "mlmRev"), "childid", 20), "egsingle.csv")

# A subject at one time more than once
csv(some(frame("Pixel", "nlme"), "Dog", 4), "pixel.csv")
csv(some(frame("Glucose2", "nlme"), "Subject", 4), "glucose.csv")
csv(frame("Tetracycline1", "nlme"), "tetracycline.csv")

# Without a time
csv(frame("Machines", "nlme"), "machines.csv")
csv(frame("Rail", "nlme"), "rail.csv")
csv(frame("Dyestuff", "lme4"), "dyestuff.csv")
csv(frame("ergoStool", "nlme"), "ergostool.csv")
csv(frame("Pastes", "lme4"), "pastes.csv")
d <- frame("MathAchieve", "nlme")
csv(do.call(rbind, lapply(split(d, d$School)[c(1, 40, 80, 120, 160)], head, 14)), "mathachieve.csv")
d <- frame("InstEval", "lme4")
csv(head(d[order(as.integer(d$s)), ], 120), "insteval.csv")
d <- frame("Gcsemv", "mlmRev")
csv(d[d$school %in% unique(d$school)[1:5], ], "gcsemv.csv")
d <- frame("Exam", "mlmRev")
csv(do.call(rbind, lapply(split(d, d$school)[1:6], head, 14)), "exam.csv")

# One row per subject
csv(widened(some(frame("ChickWeight", "datasets"), "Chick", 12), "Chick", "Time", "weight", "weight."), "chick_wide.csv")
german(widened(some(frame("Orthodont", "nlme"), "Subject", 10), "Subject", "age", "distance", "dist_age"), "orthodont_wide.csv")
tabs(widened(some(frame("sleepstudy", "lme4"), "Subject", 7), "Subject", "Days", "Reaction", "Day "), "sleepstudy_wide.tsv")
csv(widened(some(frame("BodyWeight", "nlme"), "Rat", 8), "Rat", "Time", "weight", ""), "bodyweight_wide.csv")
d <- frame("seizure", "geepack")[seq(2, 59, 3), ]
csv(d, "seizure.csv")
csv(cbind(ID = sprintf("S%02d", 1:20), d), "seizure_ids.csv")
csv(cbind(patient = seq_len(24), frame("anorexia", "MASS")[seq(1, 72, 3), ]), "anorexia.csv")
