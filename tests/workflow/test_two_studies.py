"""Two configurations in one folder share nothing that is made, even if their datasets have the same names."""

import tarfile

import pytest
import yaml

from tests.support.studies import new_study


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A study that was run, and in its folder another configuration with the same dataset, run after it."""
    study = new_study(tmp_path_factory.mktemp("both") / "study", {})
    (study.folder / "data").mkdir(exist_ok=True)
    (study.folder / "data/one.csv").write_text(
        "id,y\n" + "".join(f"{k // 4},{k * 7 % 11}\n" for k in range(20))
    )
    (study.folder / "data/two.csv").write_text(
        "id,y\n" + "".join(f"{k // 5},{k * 5 % 13}\n" for k in range(30))
    )
    stanza = {"subject": "id", "response": "y", "fixed": "1", "candidates": ["m"]}
    models = {"m": {"formula": "{response} ~ {fixed} + (1 | {subject})"}}
    study.configure({"datasets": {"d": stanza | {"path": "data/one.csv"}}, "models": models})
    other = {"datasets": {"d": stanza | {"path": "data/two.csv"}}, "models": models}
    (study.folder / "mine.yaml").write_text(yaml.safe_dump(other))
    first = study.lmm("run", "--", "--cores", "2")
    assert first.status == 0, first.text
    before = contents(study.folder)
    second = study.lmm("run", "--config", "mine.yaml", "--", "--cores", "2")
    assert second.status == 0, second.text
    return study, before, second


def contents(folder) -> dict[str, bytes]:
    """What was made in the folder itself."""
    paths = [p for top in ("results", "reports", "logs", "runs") for p in (folder / top).rglob("*")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.is_file()}


def test_the_other_study_leaves_the_first_one_as_it_is(both):
    study, before, second = both
    assert contents(study.folder) == before
    own = study.folder / "studies" / "mine"
    assert {path.name for path in own.iterdir()} == {"results", "reports", "logs", "runs"}
    assert (own / "reports/d.html").read_bytes() != (study.folder / "reports/d.html").read_bytes()
    assert "d has its first results" in second.text
    assert "The reports start at studies/mine/reports/index.html" in second.text


def test_each_is_up_to_date_by_itself_however_it_is_called(both):
    study, _, _ = both
    for arguments in ([], ["--configfile", "mine.yaml"], ["--config", "study_config=mine.yaml"]):
        run = study.snakemake(*arguments, "--dry-run")
        assert run.status == 0 and not run.jobs, run.text
    assert "d is up to date" in study.lmm("why", "d", "--config", "mine.yaml").text
    assert "d is up to date" in study.lmm("why", "d").text


def test_an_archive_of_one_holds_nothing_of_the_other(both):
    study, _, _ = both
    assert study.lmm("archive", "mine.tar.gz", "--config", "mine.yaml").status == 0
    with tarfile.open(study.folder / "mine.tar.gz") as tar:
        names = tar.getnames()
        page = tar.extractfile("study/reports/d.html").read()
    assert page == (study.folder / "studies/mine/reports/d.html").read_bytes()
    assert not any(name.startswith("study/studies/") for name in names)
