"""Add the chunks up and write docs/simulation.md: python table.py OUT.md SIX_SUBJECTS.txt CHUNK.json ..."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from math import sqrt
from pathlib import Path

TITLES = {
    "slope": "Random intercept and slope",
    "ar1": "AR(1) residuals",
    "none": "No random effect: tests of a variance of 0",
    "independent": "Independent residuals: likelihood-ratio tests of a serial correlation",
    "nugget": "Serial correlation: likelihood-ratio tests of a nugget and of a random intercept",
    "machines": "Workers at three machines: (1 | worker/machine) in (0 + machine | worker)",
}
NOTES = {
    "independent": """\
The correlations of CAR(1) and Gaussian residuals cannot be negative: their statistic is 0 for half of
the data sets or more, and a chi-square with one degree of freedom rejects half as often as it should. With
irregular times the correlation of neighbours depends on how near they happen to be, and the statistic is 0
less often; the mixture holds all the same. Range and nugget together mean nothing without correlation: a
simulated null distribution (199 responses, a tenth of the data sets) takes the place of a formula.
""",
    "machines": """\
Three rows of each worker at each machine. The hypothesis lies inside the parameter space, so that chi-square
is the right distribution for many workers; with few it rejects too often.
""",
}
INTRODUCTION = """# Sizes of tests and coverage of intervals, by simulation

`snakemake --snakefile benchmarks/simulation/Snakefile --cores all` made this page ({replicates:,} data sets
a column; the Monte-Carlo standard error of 5 % is {error:.2f} points). N subjects in two arms, ten visits,
5 % of the rows missing, variances as in sleepstudy; profile intervals for a tenth of the data sets. A size is
the share of rejections at 5 % of a hypothesis that is true; a coverage is the share of 95 % intervals that
hold what they are for.

What to take from it:

- Kenward and Roger's tests keep their size from 12 subjects on, those of AR(1) residuals from 6. With 6
  subjects and a random slope they are careful; why, stands below.
- The mixture of chi-squares that `compare` uses at the boundary is an asymptotic distribution: it is careful
  with few subjects, though less so than the naive chi-square. `rlrt` has the exact distribution.
- Profile intervals of the fixed effects are by maximum likelihood (as in lme4) and too short with few
  subjects; the default intervals have Satterthwaite's degrees of freedom and are not.
- Correlations that cannot be negative (CAR(1), exponential, Gaussian) keep their size with the mixture that
  `compare` uses, or are careful; the naive chi-square rejects half as often.
"""
SIX = """## Six subjects with a random slope

With complete data, exact tests exist: the t test of the subjects' slopes, Hotelling's of intercepts and
slopes. In the interior Kenward and Roger's p for one coefficient equals the t test's. A third of the fits,
however, has a correlation of 1 or a variance of 0 where the unbounded estimate would be no covariance matrix;
there the estimated variances are larger, and the test is careful. pbkrtest rejects as often
(rejections at 5 %, `python benchmarks/simulation/six_subjects.py 2000`):

```text
{found}```
"""


def main(out: str, six_subjects: str, *chunks: str) -> None:
    """One table a model, a column for each number of subjects."""
    counts: dict[str, dict[int, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: [0, 0]))
    )
    for chunk in chunks:
        content = json.loads(Path(chunk).read_text())
        cell = counts[content["model"]][content["subjects"]]
        for name, (happened, looked) in content["counts"].items():
            cell[name][0] += happened
            cell[name][1] += looked
    most = max(looked for model in counts.values() for cell in model.values() for _, looked in cell.values())
    parts = [INTRODUCTION.format(replicates=most, error=100 * sqrt(0.05 * 0.95 / most))]
    for model, title in TITLES.items():
        sizes = sorted(counts[model])
        names = list(dict.fromkeys(name for size in sizes for name in counts[model][size]))
        notes = [NOTES[model]] if model in NOTES else []
        replicates = max(looked for cell in counts[model].values() for _, looked in cell.values())
        if replicates < most:
            notes.append(f"{replicates:,} data sets a column.\n")
        lines = [f"## {title}", "", *notes, "| | " + " | ".join(f"N = {size}" for size in sizes) + " |"]
        lines.append("| --- |" + " ---: |" * len(sizes))
        for name in names:
            cells = [counts[model][size].get(name) for size in sizes]
            shown = [f"{100 * cell[0] / cell[1]:.1f} %" if cell and cell[1] else "" for cell in cells]
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
        parts.append("\n".join(lines) + "\n")
    parts.append(SIX.format(found=Path(six_subjects).read_text()))
    Path(out).write_text("\n".join(parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
