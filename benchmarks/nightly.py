"""How long a night takes: a study of many small datasets, run for the first time, without news, with some.

    python benchmarks/nightly.py [DATASETS]      (200 unless told otherwise; needs minutes)

Each dataset has 30 subjects at 6 times and two candidates. Times are wall-clock seconds of `lmm run`,
Snakemake's start included; they mean something on a machine that does nothing else.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
MODELS = {
    "random_intercept": {"formula": "{response} ~ {fixed} + (1 | {subject})"},
    "random_slope": {"formula": "{response} ~ {fixed} + (1 + {time} | {subject})"},
}


def write_raw(path: Path, seed: int) -> None:
    """30 subjects with levels and slopes of their own, at times 0 to 5."""
    random = np.random.default_rng(seed)
    rows = ["id,t,y"]
    for subject in range(30):
        level, slope = random.normal(10, 2), random.normal(1, 0.5)
        rows += [f"{subject},{t},{level + slope * t + random.normal():.4f}" for t in range(6)]
    path.write_text("\n".join(rows) + "\n")


def night(folder: Path) -> float:
    """Seconds of one `lmm run` in `folder`."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "lmmstudy", "run"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 10, 11):
        sys.exit(done.stderr)
    return time.perf_counter() - begun


def main(datasets: int) -> None:
    """Print the three times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("data", "config"):
            (folder / part).mkdir()
        keys = {"subject": "id", "time": "t", "response": "y", "fixed": "t", "candidates": list(MODELS)}
        names = [f"d{number:03}" for number in range(datasets)]
        for seed, dataset in enumerate(names):
            write_raw(folder / f"data/{dataset}.csv", seed)
        config = {"datasets": {d: {"path": f"data/{d}.csv", **keys} for d in names}, "models": MODELS}
        (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
        print(f"{datasets} datasets, {os.cpu_count()} cores")
        print(f"first run          {night(folder):7.1f} s")
        print(f"without news       {night(folder):7.1f} s")
        for seed, dataset in enumerate(names[: max(1, datasets // 20)], start=1000):
            write_raw(folder / f"data/{dataset}.csv", seed)
        print(f"news in 1 of 20    {night(folder):7.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
