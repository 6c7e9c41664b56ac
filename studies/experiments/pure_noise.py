"""What noise does to verdicts: `python -m studies.experiments.pure_noise [STUDIES]`."""

from __future__ import annotations

import sys

from tests.support.noise import shares, simulate


def main(num_studies: str = "1000") -> None:
    for told in (0.0, 0.7, 0.95):
        found = shares([simulate(seed, told) for seed in range(int(num_studies))])
        shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        print(f"early evaluation correlates {told:g}: {shown}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
