"""Equal inputs give byte-equal results: the number of threads of the linear algebra is none of the inputs.

OpenBLAS shares inner products of more than 10,000 numbers out among its threads and adds the parts up in
another order; beyond that size results agree to 11 digits.
"""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json
import numpy as np
import polars as pl
import lmmcore as lmm

def simulated(subjects, visits=6):
    rng = np.random.default_rng(3)
    subject, t = np.repeat(np.arange(subjects), visits), np.tile(np.arange(1.0, visits + 1), subjects)
    intercept, slope = rng.normal(size=(2, subjects))[:, subject]
    x, noise = rng.normal(size=(2, t.size))
    y = 1 + 0.3 * t + intercept + 0.5 * slope * t + noise
    frame = pl.DataFrame({"id": subject, "t": t, "u": t + rng.uniform(-0.4, 0.4, t.size), "x": x, "y": y})
    return frame.filter(pl.Series(rng.random(t.size) > 0.1))

for subjects in (600, 3000):
    frame = simulated(subjects)
    for formula, residual in (
        ("y ~ u * x + (u | id)", None),
        ("y ~ t * x + (1 | id)", lmm.AR1("t")),
        ("y ~ t * x", lmm.Unstructured("t", subject="id")),
    ):
        fit = lmm.fit(formula, frame, residual=residual)
        variances = fit.varcorr()["covariance"].to_list()
        values = [fit.loglik, *fit.beta.values(), *fit.se.values(), *fit.residual_parameters.values()]
        print(json.dumps(values + variances))
"""
MODELS = ("random slope", "ar1", "unstructured")


def run(root, threads):
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | {"PYTHONPATH": str(root)} | dict.fromkeys(names, str(threads))
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )


@pytest.fixture(scope="module")
def results(root):
    return run(root, 1), run(root, 2)


@pytest.mark.parametrize("model", range(3), ids=MODELS)
def test_no_byte_changes(results, model):
    """json writes every float by its repr."""
    one, two = results
    assert two[model] == one[model]
    assert len(json.loads(one[model])) > 9


@pytest.mark.parametrize("model", range(3, 6), ids=MODELS)
def test_rounding_only_in_large_data(results, model):
    one, two = results
    assert json.loads(two[model]) == pytest.approx(json.loads(one[model]), rel=1e-11)
