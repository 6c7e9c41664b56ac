"""What commands make of strangers' input; tests/support/fuzz.py says how it is made.

python -m benchmarks.fuzz --study-files 10000 --sets 2000 --rows 5000 --recorded 1000
    --models 500 --seed 0
"""

from __future__ import annotations

import argparse

from tests.support.fuzz import run


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.fuzz", description=__doc__)
    for name in ("study-files", "sets", "rows", "recorded", "models"):
        parser.add_argument(f"--{name}", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    seed = given.pop("seed")
    print(f"{'':<14} {'inputs':>7} {'refused':>7} {'tracebacks':>10} {'over 2 s':>8} "
          f"{'escapes':>7} {'slowest':>8}")  # fmt: skip
    tallies = []
    for one in run(given, seed):
        tallies.append(one)
        print(f"{one.name:<14} {one.inputs:>7,} {one.refused:>7,} {one.tracebacks:>10,} "
              f"{one.slow:>8,} {one.escapes:>7,} {one.slowest_s:>6.2f} s", flush=True)  # fmt: skip
    for fault in dict.fromkeys(fault for one in tallies for fault in one.faults[:20]):
        print(f"\n{fault}")
    return int(any(one.tracebacks or one.slow or one.escapes or one.faults for one in tallies))


if __name__ == "__main__":
    raise SystemExit(main())
