"""The test cluster, and small studies with the results of a local run beside them."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.slurm import cluster as slurm
from tests.slurm.submission import leave_nobody
from tests.support.studies import MODELS, Study, new_study, stanza, write_raw


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Slurm on this machine, for as long as the tests last."""
    if problem := slurm.missing():
        pytest.skip(problem)
    if not find_spec("snakemake_executor_plugin_slurm"):
        pytest.skip("not installed: snakemake-executor-plugin-slurm")
    with slurm.running():
        try:
            yield
        finally:
            leave_nobody()


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> Study:
    """Three datasets with a candidate each, run by Snakemake alone."""
    names = ("alpha", "beta", "gamma")
    model = "random_intercept"
    folder = tmp_path_factory.mktemp("local") / "study"
    for seed, name in enumerate(names):
        write_raw(folder / f"data/{name}.csv", seed)
    datasets = {name: stanza(name, candidates=[model]) for name in names}
    study = new_study(folder, {"datasets": datasets, "models": {model: MODELS[model]}})
    run = study.snakemake()
    assert run.status == 0, run.text
    return study


@pytest.fixture
def study(cluster, local, tmp_path) -> Study:
    """The same study, not run yet."""
    return local.untouched(tmp_path / "study")
