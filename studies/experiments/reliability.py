"""Is the stated probability kept? `python -m studies.experiments.reliability STEM... [--orders 5]`.

STEM: recorded sets, exports or studies, as `sweep replay` takes them. Every run is judged at its
window, the default settings standing, in orders shuffled by seed 0, all runs before it trained to
their end. The second part keeps the moments at which the rule would have pruned, were it not for
what max_expected_misses left.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.progress import track

from predictor.evidence.reliability import Bin, Moment, judged_moments, reliability
from predictor.types import Settings
from sweep.analysis.recorded.sources import read_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", nargs="+")
    parser.add_argument("--orders", type=int, default=5)
    arguments = parser.parse_args()
    settings = Settings()
    studies = read_sources(arguments.stem)
    moments: list[Moment] = []
    for study in track(studies, "judging", transient=True):
        moments += judged_moments(study, settings, orders=arguments.orders)
    pruned = [moment for moment in moments if moment.would_prune]
    print(f"{len(studies)} groups, {arguments.orders} orders, {len(moments)} moments\n")
    print("All runs at their window:")
    show(reliability(moments))
    print(f"\nThose to be pruned: P < risk {settings.risk:g}, and by the signals at most P0 / 2:")
    show(reliability(pruned))


def show(bins: Sequence[Bin]) -> None:
    print("stated P       moments  runs  misses  mean P  mean P0  share missed (95 %)      random")
    for one in bins:
        share = f"{one.share:5.3f} ({one.share_low:.3f} to {one.share_high:.3f})"
        print(
            f"{one.low:4.2f} to {one.high:4.2f}   {one.num:7d} {one.num_runs:5d} "
            f"{one.num_misses:7d}  {one.mean_stated:6.3f}   {one.mean_before:6.3f}  "
            f"{share}   {one.random_share:6.3f}"
        )


if __name__ == "__main__":
    main()
