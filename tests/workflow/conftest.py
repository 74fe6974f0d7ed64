"""Finished studies that the tests share."""

import pytest

from tests.support.studies import Study, two_datasets


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Study:
    """Two datasets, run to the end once; tests look at it or work in a copy."""
    study = two_datasets(tmp_path_factory.mktemp("finished") / "study")
    run = study.snakemake()
    assert run.status == 0, run.text
    assert run.jobs == {"clean": 2, "fit": 6, "select": 2, "report": 2, "index": 1}
    return study


@pytest.fixture
def study(finished, tmp_path) -> Study:
    """A copy of the finished study, free to be changed."""
    return finished.copy(tmp_path / "study")
