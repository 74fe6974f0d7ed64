"""Add the chunks up and write the table of docs/simulation.md: python table.py OUT.md CHUNK.json ..."""

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
}
INTRODUCTION = """# Sizes of tests and coverage of intervals, by simulation

`snakemake --snakefile benchmarks/simulation/Snakefile --cores all` made this page ({replicates:,} data sets
a column; the Monte-Carlo standard error of 5 % is {error:.2f} points). N subjects in two arms, ten visits,
5 % of the rows missing, variances as in sleepstudy; profile intervals for a tenth of the data sets. A size is
the share of rejections at 5 % of a hypothesis that is true; a coverage is the share of 95 % intervals that
hold what they are for.
"""


def main(out: str, *chunks: str) -> None:
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
        lines = [f"## {title}", "", "| | " + " | ".join(f"N = {size}" for size in sizes) + " |"]
        lines.append("| --- |" + " ---: |" * len(sizes))
        for name in names:
            cells = [counts[model][size].get(name) for size in sizes]
            shown = [f"{100 * cell[0] / cell[1]:.1f} %" if cell and cell[1] else "" for cell in cells]
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
        parts.append("\n".join(lines) + "\n")
    Path(out).write_text("\n".join(parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
