"""Simulate data/raw/clinic.csv: a two-arm trial with drop-out, as dirty as a real export.

Run from the root of the repository:  python data/raw/make/simulate_clinic.py

The truth, for patient i of age a_i at week t, with d_i = 1 on active treatment:

    score = 62 + 0.2 (60 - a_i) + b0_i + (-0.9 + 0.45 d_i + b1_i) t + e_i(t)
    (b0, b1) normal, sds 8 and 0.25, correlation 0.2
    e AR(1) in weeks: sd 4, corr(e(s), e(t)) = 0.9^|t - s|

rounded to 0.1 and held in 0..100. After week 0 a score is missing with probability 0.04. Drop-out
before a visit depends on the last score recorded (missing at random): the lower the score the
likelier, and likelier at later visits. The rest of the dirt comes afterwards, each kind on rows of
its own, so that every count printed is exact.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

WEEKS = (0, 2, 4, 6, 8, 12, 16, 24)
PATIENTS = 60
SEED = 17
MISSING_CODES = ("NA", ".", "-99")
TARGET = Path("data/raw/clinic.csv")


@dataclass(frozen=True)
class Row:
    """One line of the file, each field as it is written."""

    patient: str
    arm: str
    week: str
    age: str
    score: str

    def text(self) -> str:
        return ";".join((self.patient, self.arm, self.week, self.age, self.score))


def simulate(rng: np.random.RandomState) -> list[Row]:
    """The trial sorted by patient and week, clean but for the codes of missing scores."""
    arms = ["placebo", "active"] * (PATIENTS // 2)
    rng.shuffle(arms)
    weeks = np.array(WEEKS)
    random_root = np.linalg.cholesky([[8.0**2, 0.2 * 8 * 0.25], [0.2 * 8 * 0.25, 0.25**2]])
    noise_root = 4 * np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(weeks, weeks)))
    rows = []
    for i, arm in enumerate(arms):
        age = int(rng.randint(42, 79))
        b0, b1 = random_root @ rng.standard_normal(2)
        line = 62 + 0.2 * (60 - age) + b0 + (-0.9 + 0.45 * (arm == "active") + b1) * weeks
        scores = np.clip(np.round(line + noise_root @ rng.standard_normal(weeks.size), 1), 0, 100)
        recorded = scores[0]
        for visit, score in enumerate(scores):
            stay = 1 / (1 + np.exp(-4.2 + 0.25 * visit + 0.09 * (55 - recorded)))
            if visit and rng.uniform() > stay:
                break
            if visit and rng.uniform() < 0.04:
                field = MISSING_CODES[rng.randint(len(MISSING_CODES))]
            else:
                recorded, field = score, f"{score:.1f}"
            rows.append(Row(f"P{i + 1:03d}", arm, str(WEEKS[visit]), str(age), field))
    return rows


def soil(rows: list[Row], rng: np.random.RandomState) -> tuple[list[Row], dict[str, int]]:
    """The rows in the order of the file with the dirt in them, and the count of each kind."""
    shuffled = [rows[k] for k in rng.permutation(len(rows))]
    pool = [row for row in shuffled if row.week != "0" and row.score not in MISSING_CODES]

    def take(n: int, wanted: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        """Take n rows of n patients out of the pool."""
        first: dict[str, Row] = {}
        for row in filter(wanted, pool):
            first.setdefault(row.patient, row)
        taken = list(first.values())[:n]
        for row in taken:
            pool.remove(row)
        return taken

    lines = list(rows)

    def edit(row: Row, **fields: str) -> None:
        lines[lines.index(row)] = replace(row, **fields)

    # 999 replaces a score of week 24, which no drop-out can have depended on.
    for row in take(1, lambda row: row.week == "24"):
        edit(row, score="999")
    decimal_commas = take(7)
    for row in decimal_commas:
        edit(row, score=row.score.replace(".", ","))
    padded_ids = take(5)
    for row, pad in zip(padded_ids, ("{} ", " {}", "{} ", "{}  ", " {} "), strict=True):
        edit(row, patient=pad.format(row.patient))
    padded_arms = [
        *take(2, lambda row: row.arm == "active"),
        *take(1, lambda row: row.arm == "placebo"),
    ]
    for row, pad in zip(padded_arms, ("{} ", "{} ", " {}"), strict=True):
        edit(row, arm=pad.format(row.arm))

    conflicting = take(3)
    for row in conflicting:
        lines.insert(lines.index(row) + 1, replace(row, score=f"{float(row.score) + 3.4:.1f}"))
    repeated = take(5)
    for row in [*repeated, repeated[0]]:
        lines.insert(lines.index(row), row)
    last = {row.patient: row for row in rows}
    disordered = take(6, lambda row: row is not last[row.patient])
    for row in disordered[:4]:  # written one line too early
        lines.insert(lines.index(row) - 1, lines.pop(lines.index(row)))
    for row in disordered[4:]:  # handed in late, at the end of the file
        lines.append(lines.pop(lines.index(row)))

    visits = Counter(row.patient for row in rows)
    left = {arm: Counter(r.week for r in rows if r.arm == arm) for arm in ("placebo", "active")}
    codes = Counter(row.score for row in rows)
    counts = {
        "rows in the file (header not counted)": len(lines),
        "patients": len(visits),
        "distinct patient-weeks": len(rows),
        "repeated identical rows (extra copies)": len(repeated) + 1,
        "rows that have such copies (one of them twice)": len(repeated),
        "conflicting duplicates (pairs: same patient and week, other score)": len(conflicting),
        **{f"score coded missing as {code}": codes[code] for code in MISSING_CODES},
        "scores with a decimal comma": len(decimal_commas),
        "rows with stray spaces around the patient": len(padded_ids),
        "rows with stray spaces around the arm": len(padded_arms),
        "patients with visits out of order": len(disordered),
        "impossible scores (999 on a scale of 0 to 100)": 1,
        "patients with one visit": sum(n == 1 for n in visits.values()),
        "patients who dropped out": PATIENTS - sum(arm["24"] for arm in left.values()),
        **{
            f"{arm} patients with a row at week {', '.join(map(str, WEEKS))}": " ".join(
                str(weeks[str(week)]) for week in WEEKS
            )
            for arm, weeks in left.items()
        },
    }
    return lines, counts


def main() -> None:
    # RandomState, not Generator: NumPy has frozen its stream, so the bytes never change.
    rng = np.random.RandomState(SEED)
    lines, counts = soil(simulate(rng), rng)
    text = ["patient;arm;week;age;score", *(row.text() for row in lines)]
    TARGET.write_bytes("".join(line + "\n" for line in text).encode())
    for kind, count in counts.items():
        print(f"{kind}: {count}")


if __name__ == "__main__":
    main()
