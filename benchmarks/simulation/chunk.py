"""Count the outcomes of one chunk of replicates: python chunk.py MODEL SUBJECTS SEED REPLICATES OUT.json"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from study import replicate


def main(model: str, subjects: str, seed: str, replicates: str, out: str) -> None:
    """Write {outcome: [times it happened, times it was looked at]}."""
    happened: Counter[str] = Counter()
    looked: Counter[str] = Counter()
    rng = np.random.default_rng([int(seed), int(subjects), sum(map(ord, model))])
    for _ in range(int(replicates)):
        for name, outcome in replicate(model, int(subjects), rng).items():
            happened[name] += bool(outcome)
            looked[name] += 1
    if "failed" in looked:
        looked["failed"] = int(replicates)
    counts = {name: [happened[name], looked[name]] for name in sorted(looked)}
    Path(out).write_text(json.dumps({"model": model, "subjects": int(subjects), "counts": counts}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
