"""python -m tests.fuzz N --seed S [--case K]: try N cases, or one; a summary, how to repeat what failed."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.checks import Result, checked
from tests.fuzz.generate import case


def tried(given: tuple[int, int]) -> tuple[int, Result]:
    """A case by seed and number."""
    seed, number = given
    return number, checked(case(seed, number), seed, number)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("n", type=int, nargs="?", default=1000, help="how many cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="this case only")
    parser.add_argument("--first", type=int, default=0, help="the first case")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.n) if given.case is None else [given.case]
    if given.case is not None:
        print(case(given.seed, given.case).described())
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    failed, start = 0, time.perf_counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        try:
            for number, result in pool.map(tried, [(given.seed, k) for k in numbers], chunksize=20):
                outcomes[result.outcome] += 1
                kinds.update(result.faults.keys())
                failed += bool(result.faults)
                for kind, told in result.faults.items():
                    described = case(given.seed, number).described()
                    print(f"{kind}: {told}\n    {described}")
                    print(f"    python -m tests.fuzz --seed {given.seed} --case {number}", flush=True)
        except KeyboardInterrupt:  # the summary is of what was tried
            pool.shutdown(wait=False, cancel_futures=True)
    print(f"\n{sum(outcomes.values())} cases in {time.perf_counter() - start:.0f} s, {failed} with a fault")
    for title, counts in (("Outcomes", outcomes), ("Faults", kinds)):
        print(f"{title}:")
        for name, count in counts.most_common():
            print(f"  {count:6}  {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
