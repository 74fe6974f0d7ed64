"""What a fit job may load: thousands of short jobs pay for every import."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[3]
NEVER = {"pandas", "jinja2", "formulaic", "matplotlib", "snakemake", "statsmodels", "hypothesis", "pytest"}
SELDOM = {"scipy.stats", "scipy.optimize", "scipy.linalg", "pyarrow", "lmmcore.resampling"}


def loaded(code: str) -> set[str]:
    """Modules in a fresh interpreter after running code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split("\n"))


@pytest.mark.parametrize("code", ["import lmmcore", "import lmmstudy.fitting.candidate"])
def test_imports_stay_light(code):
    assert not loaded(code) & (NEVER | SELDOM)


def test_an_ordinary_fit_loads_nothing_heavy(tmp_path):
    path = tmp_path / "sleepstudy.parquet"
    pl.read_csv(ROOT / "data/raw/sleepstudy.csv").write_parquet(path)
    modules = loaded(
        "import lmmcore as lmm\n"
        f"fit = lmm.fit('Reaction ~ Days + (Days | Subject)', {str(path)!r})\n"
        "str(fit); fit.tidy(df='kenward-roger'); fit.varcorr(); fit.ranef(); fit.augment()"
    )
    assert not modules & (NEVER | SELDOM)
    assert "scipy.special" in modules  # the t distribution: the list above is not empty of meaning
