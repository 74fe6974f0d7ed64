"""A differential fuzzer: random models and data, the engine against a dense likelihood by the formulas.

`python -m tests.fuzz 1000 --seed 1` tries as many cases; `--case K` repeats one.
"""

import os

# Threads of the linear algebra wait for each other at every small matrix; NumPy reads this when imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
