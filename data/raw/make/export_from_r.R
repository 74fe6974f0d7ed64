# Export the embedded data sets of the R packages lme4 and nlme to plain CSV, one file each.
# Run from the root of the repository:  Rscript data/raw/make/export_from_r.R

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
})

# The shortest decimal text that reads back as exactly the stored double.
shortest <- function(x) {
  text <- formatC(x, digits = 15, format = "g", width = 1)
  for (digits in 16:17) {
    wrong <- as.numeric(text) != x
    text[wrong] <- formatC(x[wrong], digits = digits, format = "g", width = 1)
  }
  text
}

# Ids that are whole numbers sort as numbers (2 before 10), others as text in C order.
id_order <- function(id) {
  id <- as.character(id)
  if (all(grepl("^[0-9]+$", id))) as.numeric(id) else match(id, sort(unique(id), method = "radix"))
}

export <- function(frame, file, subject, time, columns) {
  frame <- as.data.frame(frame)
  frame <- frame[order(id_order(frame[[subject]]), frame[[time]]), columns]
  text <- lapply(frame, function(x) if (is.factor(x)) as.character(x) else shortest(x))
  lines <- do.call(paste, c(text, sep = ","))
  con <- file(file.path("data", "raw", file), open = "wb")
  on.exit(close(con))
  writeLines(c(paste(columns, collapse = ","), lines), con, sep = "\n")
  cat(file, length(lines), "rows\n")
}

# AR(1) needs whole-number times and Ovary's Time is a fraction of the cycle: number the daily scans of
# each mare.
ovary <- as.data.frame(Ovary)
ovary$Visit <- ave(ovary$Time, ovary$Mare, FUN = rank)

export(sleepstudy, "sleepstudy.csv", "Subject", "Days", c("Reaction", "Days", "Subject"))
export(Orthodont, "orthodont.csv", "Subject", "age", c("distance", "age", "Subject", "Sex"))
export(ovary, "ovary.csv", "Mare", "Time", c("Mare", "Time", "follicles", "Visit"))
export(BodyWeight, "bodyweight.csv", "Rat", "Time", c("weight", "Time", "Rat", "Diet"))
