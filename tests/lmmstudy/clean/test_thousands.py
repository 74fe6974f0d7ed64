"""Separators of thousands are never read as decimal marks: such a file stops with a sentence."""

import pytest
import yaml

from lmmstudy.config.draft import draft
from tests.support.cleaning import clean

STEPS = ["950", "1,010", "1,060", "980", "1,120", "1,190"]
POINTS = [value.replace(",", ".") for value in STEPS]


def table(values: list[str], separator: str = ",") -> str:
    """Three subjects at two times."""
    lines = [f"{k // 2}{separator}{k % 2}{separator}{value}" for k, value in enumerate(values)]
    return "\n".join([separator.join(("id", "t", "y")), *lines, ""])


def quoted(values: list[str]) -> list[str]:
    return [f'"{value}"' for value in values]


@pytest.mark.parametrize("decimal", [".", ",", "both"])
@pytest.mark.parametrize(
    "values",
    [
        STEPS,
        [value for value in STEPS if "," in value] + ["1,230", "2,500"],  # not one below 1000
        ["12,500", "950", "1,060", "980", "1,120", "1,190"],
        ["-1,010", "-950", "1,060", "980", "1,120", "1,190"],
        ["1,234,567", "950,000", "1,060,000", "980,000", "1,120,000", "1,190,000"],
        ["1,010.5", "950.25", "1,060.5", "980.5", "1,120.5", "1,190.5"],
    ],
)
def test_commas_between_thousands_in_a_file_with_commas(tmp_path, decimal, values):
    audit, rows = clean(tmp_path, table(quoted(values)), decimal=decimal)
    assert audit["status"] == "failed" and rows.is_empty()
    assert "thousand" in audit["message"] and "remove them" in audit["message"]


@pytest.mark.parametrize(
    ("values", "decimal"), [(STEPS, ","), (STEPS, "both"), (POINTS, "."), (POINTS, "both")]
)
@pytest.mark.parametrize("separator", [";", "\t"])
def test_values_that_fall_apart_by_a_thousand(tmp_path, values, decimal, separator):
    audit, _ = clean(tmp_path, table(values, separator), separator=separator, decimal=decimal)
    assert audit["status"] == "failed"
    assert (
        f"column 'y' has marks that separate thousands, to judge by the file: '{values[1]}' in row 3"
        in audit["message"]
    )


@pytest.mark.parametrize(
    ("values", "decimal", "separator"),
    [
        (quoted(["0,950", "1,010", "1,060", "0,980", "1,120", "1,190"]), ",", ","),
        (quoted(["95,5", "1,010", "1,060", "98,0", "112,5", "119,0"]), ",", ","),
        (["1,010", "1,060", "1,120", "1,190", "2,125", "2,250"], ",", ";"),  # three digits throughout
        (["1.010", "1.060", "1.120", "1.190", "2.125", "3"], ".", ","),
        (["1.234", "12.34", "123.4", "1234", "2.125", "3"], ".", ","),  # four digits that count
        (["0.125", "1.250", "800", "900", "1000", "950"], ".", ","),
    ],
)
def test_decimal_marks_stay_decimal_marks(tmp_path, values, decimal, separator):
    audit, rows = clean(tmp_path, table(values, separator), separator=separator, decimal=decimal)
    assert audit["status"] == "ok" and rows.height == 6
    assert rows["y"].to_list() == [float(value.strip('"').replace(",", ".")) for value in values]


def test_a_covariate_and_a_time_stop_too(tmp_path):
    content = 'id,t,y,x\n1,"1,010",1,950\n1,900,2,"1,010"\n2,950,1,"1,120"\n2,"1,120",3,990\n'
    audit, _ = clean(tmp_path, content, fixed="t + x", decimal=",")
    assert "column 't' has marks that separate thousands" in audit["message"]
    audit, _ = clean(
        tmp_path,
        content.replace('"1,010",1', "1010,1").replace('"1,120",3', "1120,3"),
        fixed="t + x",
        decimal=",",
    )
    assert "column 'x' has marks that separate thousands" in audit["message"]


@pytest.mark.parametrize("values", [STEPS, [value for value in STEPS if "," in value] * 2])
def test_a_draft_takes_no_separator_of_thousands_for_a_decimal_mark(tmp_path, monkeypatch, values):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text(table(quoted(values)))
    drafted = draft("d.csv")
    assert "decimal" not in yaml.safe_load(drafted)["d"]
    assert "# y has separators of thousands (a guess): remove them first" in drafted


def test_a_guessed_decimal_mark_says_what_it_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text(table(["1,5", "2,25", "3,5", "4", "5", "6"], ";"))
    assert "decimal: ',' # a guess: 1,5 in y is read as 1.5" in draft("d.csv")
