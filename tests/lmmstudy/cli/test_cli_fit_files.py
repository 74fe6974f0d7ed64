"""`lmm fit` reads what `lmm init` reads, and names the value that is no number."""

import gzip

import numpy as np
import polars as pl
import pytest

from lmmstudy.cli import main
from lmmstudy.config.draft import draft

FORMULA = "Größe ~ t + arm + (1 | id)"


def rows() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    ids, visits = np.repeat(np.arange(8), 4), np.tile(np.arange(4.0), 8)
    y = rng.normal(size=8)[ids] + visits / 2 + rng.normal(size=32)
    arms = np.array(["ä", "b"])[ids % 2]
    return pl.DataFrame({"id": ids + 1, "t": visits + 0.5, "arm": arms, "Größe": y.round(3)})


def text(separator: str = ",", decimal: str = ".") -> str:
    frame = rows().with_columns(pl.col("t", "Größe").cast(pl.String).str.replace(".", decimal, literal=True))
    quote = "necessary" if decimal != separator else "always"
    return frame.write_csv(separator=separator, quote_style=quote)


FILES = {
    "plain.csv": text().encode(),
    "semicolons and decimal commas.csv": text(";", ",").encode(),
    "quoted commas.csv": text(",", ",").encode(),
    "tabs.tsv": text("\t").encode(),
    "tabs.txt": text("\t").encode(),
    "bars.dat": text("|", ",").encode(),
    "latin.csv": text(";").encode("cp1252"),
    "utf16.csv": text(";", ",").encode("utf-16"),
    "marked.csv": text().encode("utf-8-sig"),
    "windows.csv": text(";", ",").replace("\n", "\r\n").encode("cp1252"),
    "packed.csv.gz": gzip.compress(text(";", ",").encode("cp1252")),
}


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Exit code, output and errors of `lmm fit FORMULA FILE` for a file of this content."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, content: bytes, formula: str = FORMULA, *options: str) -> tuple[int, str, str]:
        (tmp_path / name).write_bytes(content)
        code = main(["fit", formula, name, *options])
        return (code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("name", FILES)
def test_every_form_of_a_text_file_gives_the_fit_of_typed_columns(said, capsys, name):
    code, out, err = said(name, FILES[name])
    assert code == 0, err
    assert draft(name)  # lmm init reads it
    rows().write_parquet("rows.parquet")
    assert main(["fit", FORMULA, "rows.parquet"]) == 0
    assert out == capsys.readouterr().out


def test_what_was_guessed_is_said(said):
    assert said("plain.csv", FILES["plain.csv"])[2] == ""
    err = said("a.csv", text(";", ",").encode("cp1252"))[2]
    assert err == "a.csv was read with separator ';', encoding cp1252, decimal commas in 't', 'Größe'.\n"


MISTAKES = {
    "a unit": ("id,t,y\n1,0,1\n1,1,2 kg\n2,0,3\n2,1,4\n", ["'y'", "'2 kg' in row 3"]),
    "a response of words": ("id,t,y\n1,0,low\n1,1,high\n", ["'y'", "'low' in row 2"]),
    "a missing code": ("id,t,y\n1,0,1\n1,missing,2\n", ["'t'", "'missing' in row 3", "C(t)"]),
    "beyond all numbers": ("id,t,y\n1,0,1\n1,1,1e400\n", ["'y'", "'1e400' in row 3"]),
    "two marks": ("id;t;y\n1;0;1.234,5\n1;1;2\n", ["'y'", "'1.234,5' in row 2"]),
    "thousands": ('id,t,y\n1,0,"1,234"\n1,1,"5,678"\n', ["'y'", "'1,234' in row 2", "thousands"]),
    "dates": ("id,t,y\n1,2024-01-05,1\n1,2024-02-05,2\n", ["'t'", "dates", "'2024-01-05' in row 2"]),
    "an open quote": ('id,t,y\n1,0,"1\n1,1,2\n', ["a quote is not closed"]),
    "no table": ("", ["is empty"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_value_that_cannot_be_read_is_named(said, name):
    content, words = MISTAKES[name]
    code, out, err = said("raw.csv", content.encode(), "y ~ t + (1 | id)")
    assert code == 1 and out == "" and err.startswith("No fit: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_ids_categories_and_missing_values(said):
    """Ids of digits are labels, numbers in C() categories, and the study's words for missing values hold."""
    lines = ["id,dose,grade,y"]
    rng = np.random.default_rng(5)
    for number in range(24):
        dose, grade = (1, 2, 4)[number % 3], ("K", "1", "2")[number % 2]
        lines.append(f"0{number // 3},{dose},{grade},{rng.normal():.3f}")
    lines[5] = "01,2,K,N/A"
    content = ("\n".join(lines) + "\n").encode()
    code, out, err = said("raw.csv", content, "y ~ C(dose) + C(grade) + (1 | id)")
    assert code == 0, err
    assert "Rows: 23" in out
    assert "C(dose)[T.2]" in out and "C(grade)[T.K]" in out
    code, _, err = said("raw.csv", content, "y ~ grade + (1 | id)")
    assert code == 1 and "'K' in row 2" in err and "C(grade)" in err
