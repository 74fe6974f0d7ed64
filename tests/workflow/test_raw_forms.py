"""One set of measurements in many forms, each through the whole workflow: all end in the same numbers."""

import csv
import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.support.studies import MODELS, Study, new_study, stanza, write_raw

START = date(2024, 2, 26)
"""Three days before the leap day; a visit is one day after the other."""


def wide(rows: list[list[str]]) -> bytes:
    """One row a subject, a column for each time."""
    values = {(i, t): y for i, t, y in rows}
    times = list(dict.fromkeys(t for _, t, _ in rows))
    people = dict.fromkeys(i for i, _, _ in rows)
    lines = [",".join(["id", *(f"day{t}" for t in times)])]
    lines += [",".join([i, *(values[i, t] for t in times)]) for i in people]
    return "\n".join(lines).encode()


def dated(rows: list[list[str]]) -> bytes:
    """The time as a date with a time of day; a byte order mark, as Excel writes it."""
    lines = ["id,t,y"]
    lines += [f"{i},{START + timedelta(int(t))} 08:30,{y}" for i, t, y in rows]
    return "\n".join(lines).encode("utf-8-sig")


def german(rows: list[list[str]]) -> bytes:
    """Latin-1, semicolons, decimal commas, CRLF, dates with points, notes of two lines, packed."""
    lines = ["id;Prüfung;t;y"]
    for i, t, y in rows:
        day = START + timedelta(int(t))
        lines.append(f'{i};"nüchtern;\r\nfrüh";{day:%d.%m.%Y};{y.replace(".", ",")}')
    return gzip.compress("\r\n".join(lines).encode("latin-1"))


def shuffled_columns(rows: list[list[str]]) -> bytes:
    """Other columns first, one of them without a name; spaces and empty rows."""
    lines = [",y,t,notes,id", *(f'{k}, {y} ,{t},"a, b",{i}' for k, (i, t, y) in enumerate(rows)), ",,,,"]
    return "\n".join(lines).encode()


FORMS = {
    "wide": (wide, {"wide": {f"day{t}": t for t in range(6)}}),
    "dated": (dated, {"time_unit": "days"}),
    "german": (
        german,
        {"path": "data/german.csv.gz", "separator": ";", "decimal": ",", "encoding": "latin-1"}
        | {"time_unit": "days"},
    ),
    "columns": (shuffled_columns, {}),
}


@pytest.fixture(scope="module")
def forms(tmp_path_factory) -> Study:
    """All forms beside the file `plain` and the Parquet file `typed`, whose dates are dates; run once."""
    folder = tmp_path_factory.mktemp("forms") / "study"
    write_raw(folder / "data/plain.csv", seed=1)
    _, *rows = list(csv.reader((folder / "data/plain.csv").open()))
    slope = {"candidates": ["random_slope"]}
    datasets = {name: stanza(name) | keys | slope for name, (_, keys) in FORMS.items()}
    for name, (write, _) in FORMS.items():
        Path(folder, datasets[name]["path"]).write_bytes(write(rows))
    days = {"id": [i for i, _, _ in rows], "when": [START + timedelta(int(t)) for _, t, _ in rows]}
    pl.DataFrame(days | {"y": [float(y) for _, _, y in rows]}).write_parquet(folder / "data/typed.parquet")
    typed = {"path": "data/typed.parquet", "time": "when", "time_unit": "days", "fixed": "when"}
    datasets |= {"plain": stanza("plain") | slope, "typed": stanza("typed") | typed | slope}
    study = new_study(folder, {"datasets": datasets, "models": MODELS})
    run = study.lmm("run")
    assert run.status == 0, run.text
    return study


def read(study: Study, name: str) -> dict:
    return json.loads((study.folder / "results" / name).read_text("utf-8"))


@pytest.mark.parametrize("name", [*FORMS, "typed"])
def test_every_form_ends_in_the_same_numbers(forms, name):
    table = pl.read_parquet(forms.folder / f"results/{name}/clean.parquet")
    plain = pl.read_parquet(forms.folder / "results/plain/clean.parquet")
    assert table.rows() == plain.rows()
    record, expected = (read(forms, f"{dataset}/models/random_slope.json") for dataset in (name, "plain"))
    for part in ("ml", "reml", "sigma", "random", "fixed"):
        told, wanted = (json.dumps(item[part]).replace("when", "t") for item in (record, expected))
        assert told == wanted
    assert (forms.folder / f"reports/{name}.html").exists()


def test_what_was_converted_stands_in_the_audit(forms):
    def kinds(name: str) -> set[str]:
        return {item["kind"] for item in read(forms, f"{name}/clean.json")["coercions"]}

    assert kinds("dated") == {"date to days since the subject's first"}
    assert kinds("german") == {"date to days since the subject's first", "decimal comma"}
    assert read(forms, "german/clean.json")["source"]["encoding"] == "latin-1"
    assert read(forms, "wide/clean.json")["rows"] == {"read": 72, "used": 72, "dropped": {}}
    assert read(forms, "columns/clean.json")["rows"] == {"read": 73, "used": 72, "dropped": {"empty row": 1}}
