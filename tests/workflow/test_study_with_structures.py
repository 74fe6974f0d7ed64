"""A study of residual and variance structures and of nested groups, run by the real Snakemake."""

import json

import numpy as np
import pytest

from tests.support.studies import Study, new_study, stanza

MODELS = {
    "unstructured": {"formula": "{response} ~ {fixed}", "residual": {"type": "unstructured"}},
    "exponential": {
        "formula": "{response} ~ {fixed}",
        "residual": {"type": "exponential", "nugget": True, "time": "day"},
        "variance": {"type": "by_group", "column": "{group}"},
    },
    "nested": {
        "formula": "{response} ~ {fixed} + (1 | site/{subject})",
        "variance": {"type": "power", "of": "dose"},
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Study, str]:
    """24 subjects of two arms in eight sites at four visits; `day` and `dose` serve structures alone."""
    folder = tmp_path_factory.mktemp("structures") / "study"
    random = np.random.RandomState(11)
    lines = ["id,site,arm,t,day,dose,y"]
    for subject in range(24):
        arm, site = "ab"[subject % 2], f"S{subject // 3}"
        level, noise = 10 + 2 * random.standard_normal(), 0.0
        for t in range(4):
            noise = 0.7 * noise + (1 + (arm == "b")) * random.standard_normal()
            lines.append(f"P{subject:02d},{site},{arm},{t},{7 * t + 1},{1 + t % 2},{level + t + noise:.3f}")
    (folder / "data").mkdir(parents=True)
    (folder / "data/trial.csv").write_text("\n".join(lines) + "\n")
    names = list(MODELS)
    datasets = {name: stanza("trial", fixed="t * arm", group="arm", candidates=[name]) for name in names}
    datasets["all"] = stanza("trial", fixed="t * arm", group="arm", candidates=names)
    made = new_study(folder, {"datasets": datasets, "models": MODELS})
    run = made.snakemake()
    assert run.status == 0, run.text
    return made, run.text


def record(study: Study, model: str) -> dict:
    return json.loads((study.folder / f"results/all/models/{model}.json").read_text("utf-8"))


def test_records_say_what_was_fitted(study):
    made, _ = study
    unstructured, exponential, nested = (record(made, name) for name in MODELS)
    assert {r["status"] for r in (unstructured, exponential, nested)} <= {"ok", "singular"}
    assert unstructured["residual_structure"] == {
        "type": "unstructured",
        "time": "t",
        "subject": "id",
        "nugget": False,
    }
    assert unstructured["variance"] is None and len(unstructured["residual_parameters"]) == 9
    assert exponential["residual_structure"]["nugget"] is True
    assert exponential["residual_structure"]["time"] == "day"
    assert exponential["variance"] == {"type": "by_group", "column": "arm"}
    assert set(exponential["residual_parameters"]) == {"range", "nugget", "sd(b)/sd(a)"}
    assert nested["groups"] == {"site": 8, "site:id": 24}
    assert nested["variance"] == {"type": "power", "of": "dose"}
    assert nested["residual_structure"] is None and set(nested["residual_parameters"]) == {"power"}
    assert all(r["dropped"] == [] for r in (unstructured, exponential, nested))


def test_columns_of_structures_alone_are_cleaned(study):
    columns = json.loads((study[0].folder / "results/all/clean.json").read_text("utf-8"))["columns"]
    assert {c["name"] for c in columns if c["role"] == "covariate"} == {"arm", "day", "dose", "site"}


def test_all_candidates_compete(study):
    selection = json.loads((study[0].folder / "results/all/selection.json").read_text("utf-8"))
    assert selection["status"] == "ok" and len(selection["ladder"]) == 3
    assert all(step["aic"] is not None for step in selection["ladder"])


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("unstructured", ("Residual SD and correlation by t (REML)", "with unstructured covariance over t")),
        ("exponential", ("Residual SD by arm (REML)", "exponential correlation and nugget over day")),
        ("nested", ("i = site, j = site:id within i", "Predicted random effects of site:id")),
    ],
)
def test_the_report_speaks_of_the_structure(study, model, shown):
    page = (study[0].folder / f"reports/{model}.html").read_text("utf-8")
    assert "could not be fitted again" not in page and "Correlation between visits" in page
    for words in shown:
        assert words in page
