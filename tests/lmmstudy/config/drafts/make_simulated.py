"""Simulated tables in the forms that programs and people write: `python make_simulated.py`, here."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl

FILES = Path(__file__).parent / "files"
random = np.random.default_rng(18)


def trial(subjects: int, weeks: list[int], arms: list[str], mean: float = 60.0) -> list[tuple]:
    """(number, arm, week, score) of a trial: a level and a slope for each subject."""
    rows = []
    for k in range(subjects):
        level, slope = random.normal(mean, mean / 8), random.normal(-0.4, 0.2)
        for week in weeks:
            score = level + slope * week + random.normal(0, mean / 30)
            rows.append((k + 1, arms[k % len(arms)], week, round(float(score), 1)))
    return rows


def text(name: str, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> None:
    (FILES / name).write_bytes(end.join([*lines, ""]).encode(encoding))


def comma(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def thousands(value: float) -> str:
    return f'"{value:,.0f}"'


def long_files() -> None:
    weeks = [0, 4, 8, 12]
    rows = trial(12, weeks, ["Kontrolle", "Verum"])
    head = "Patient Nr\tBesuch\tGruppe\tGewicht (kg)"
    text("utf16.txt", [head, *(f"P{k:03d}\t{w}\t{g}\t{comma(y)}" for k, g, w, y in rows)], "utf-16")
    text("no_mark.txt", [head, *(f"P{k:03d}\t{w}\t{g}\t{comma(y)}" for k, g, w, y in rows)], "utf-16-le")
    rows = trial(12, weeks, ["témoin", "traité"])
    head = "Identifiant;Groupe;Semaine;Poids"
    for name, encoding in (("french.csv", "cp1252"), ("dos.csv", "cp850"), ("mac.csv", "mac_roman")):
        end = "\r" if encoding == "mac_roman" else "\r\n"
        text(name, [head, *(f"{k};{g};{w};{comma(y)}" for k, g, w, y in rows)], encoding, end)
    rows = trial(12, weeks, ["placebo", "active"])
    plain = [f"{k},{g},{w},{y}" for k, g, w, y in rows]
    text(
        "title.csv",
        ["Trial ABC-1: function score", "exported on 2024-03-01", "", "subject,arm,week,score", *plain],
    )
    semicolons = [line.replace(",", ";") for line in plain]
    text(
        "title_padded.csv",
        ["Function score;;;", ";;;", "subject;arm;week;score", *semicolons],
        "utf-8-sig",
        "\r\n",
    )
    text("pipes.txt", ["participant_id|arm|visit|total", *(line.replace(",", "|") for line in plain)])
    text("footnote.csv", ["subject,arm,week,score", *plain, "Source: simulated,,,"])
    text("brackets.csv", ["Subject ID,Treatment arm,Time (weeks),Score [0-100]", *plain])
    text(
        "r_names.csv",
        ['"","subject","arm","week","score"', *(f'"{n}",{line}' for n, line in enumerate(plain, 1))],
    )
    text("nameless.csv", ["V1,V2,V3,V4", *plain])
    coded = [f"{k},{1 + (k - 1) % 3},{w},{y}" for k, _, w, y in trial(15, weeks, ["x"])]
    text("coded_arms.csv", ["id,arm,visit,y", *coded])
    missing = [
        f"{k},{g},{w},{'-99' if n % 17 == 3 else 'missed' if n % 23 == 5 else y}"
        for n, (k, g, w, y) in enumerate(rows)
    ]
    text("codes.csv", ["PATID,TRT,WEEK,CHANGE", *missing])
    (FILES / "packed.csv.gz").write_bytes(
        gzip.compress("\n".join(["subject,arm,week,score", *plain, ""]).encode(), mtime=0)
    )
    large = trial(12, weeks, ["placebo", "active"], 1000.0)
    text("thousands.csv", ["id,group,week,steps", *(f"{k},{g},{w},{thousands(y)}" for k, g, w, y in large)])
    text("quoted_commas.csv", ["id,group,week,value", *(f'{k},{g},{w},"{comma(y)}"' for k, g, w, y in rows)])
    days = [(k, g, w, y, int(7 * w + random.integers(-3, 4))) for k, g, w, y in rows]
    text(
        "days.csv", ["subject,group,study_day,value", *(f"{k},{g},{max(d, 0)},{y}" for k, g, w, y, d in days)]
    )
    date = np.datetime64("2024-01-29")
    stamps = [(k, g, date + 28 * (w // 4) + k, y) for k, g, w, y in rows]
    text("iso_dates.csv", ["Kind,Datum,Wert", *(f"K{k},{d},{y}" for k, g, d, y in stamps)])
    slashes = [(k, f"{str(d)[8:]}/{str(d)[5:7]}/{str(d)[:4]}", y) for k, g, d, y in stamps]
    text("slashes.csv", ["pid,date,pain", *(f"{k},{d},{y}" for k, d, y in slashes)])
    doubtful = [(k, f"0{1 + n % 4}/0{1 + k % 9}/2024", y) for n, (k, g, w, y) in enumerate(rows)]
    text("doubtful_dates.csv", ["pid,date,pain", *(f"{k},{d},{y}" for k, d, y in doubtful)])
    header = "STUDYID,USUBJID,TRTP,AVISIT,AVISITN,PARAMCD,BASE,AVAL,CHG"
    first = {k: y for k, _, w, y in rows if w == 0}
    cdisc = [f"S1,S1-{k:03d},{g},Week {w},{w},SCORE,{first[k]},{y},{y - first[k]:.1f}" for k, g, w, y in rows]
    text("cdisc.csv", [header, *cdisc])
    redcap = [f"{k},week_{w}_arm_1,{w},{['female', 'male'][k % 2]},{g},{y}" for k, g, w, y in rows]
    text("redcap.csv", ["record_id,redcap_event_name,visit_week,sex,randomised,phq9_total", *redcap])
    animals = [f"{chr(65 + k // 3)};{k};{w};{comma(y)}" for k, _, w, y in rows]
    text("litters.csv", ["Wurf;Tier;Tag;Gewicht", *animals])
    pupils = [f"{1 + k // 4},{100 + k},{2010 + w // 4},{y}" for k, _, w, y in rows]
    text("pupils.csv", ["school_id,pupil_id,year,reading", *pupils])
    centres = [f"{1 + (k - 1) // 6},{1 + (k - 1) % 6},{g},{w},{y}" for k, g, w, y in rows]
    text("ids_anew.csv", ["centre,patient,arm,month,bp", *centres])
    cross = [(k, p, "AB"[(k + p) % 2], h) for k in range(1, 9) for p in (1, 2) for h in (0, 1, 2, 4)]
    text(
        "crossover.csv",
        [
            "patient,period,treatment,hour,glucose",
            *(f"{k},{p},{t},{h},{random.normal(5, 1):.2f}" for k, p, t, h in cross),
        ],
    )
    cells = [(k, t) for k in range(1, 9) for t in (0, 5, 10) for _ in range(2)]
    text(
        "replicates.csv", ["plant,day,height", *(f"{k},{t},{random.normal(20 + t, 2):.1f}" for k, t in cells)]
    )
    frame = pl.DataFrame(rows, schema=["subject", "arm", "week", "score"], orient="row")
    dates = pl.Series("visited", [(date + 7 * w).item() for w in frame["week"]])
    frame = frame.with_columns(pl.col("arm").cast(pl.Categorical), dates).drop("week")
    frame.write_parquet(FILES / "typed.parquet")


def wide_files() -> None:
    rows = trial(24, [0, 4, 8, 12], ["placebo", "active"])
    people = [rows[k : k + 4] for k in range(0, len(rows), 4)]

    def table(name: str, head: str, mark: str = ",", more: int = 0) -> None:
        lines = [
            mark.join(
                [
                    str(p[0][0]),
                    p[0][1],
                    *(str(r[3]) for r in p),
                    *(str(round(r[3] / 2, 1)) for r in p[: 4 * more]),
                ]
            )
            for p in people
        ]
        text(name, [head, *lines])

    table("wide_baseline.csv", "id,treatment,score_baseline,score_wk4,score_wk8,score_wk12")
    table("wide_first.csv", "id,arm,week0_score,week4_score,week8_score,week12_score")
    table("wide_months.csv", "subject;arm;bdi.0m;bdi.4m;bdi.8m;bdi.12m", ";")
    table("wide_two.csv", "patient,arm,sbp_0,sbp_4,sbp_8,sbp_12,dbp_0,dbp_4,dbp_8,dbp_12", more=1)
    table("wide_visits.csv", "ID,Group,Visit 1,Visit 2,Visit 3,Visit 4")
    table("wide_camel.csv", "PatientId,Arm,painT0,painT1,painT2,painT3")
    table("wide_r.csv", "id,trt,X0,X4,X8,X12")
    table("wide_gaps.txt", "id\tarm\twk0\twk4\twk8\twk12", "\t")


if __name__ == "__main__":
    long_files()
    wide_files()
