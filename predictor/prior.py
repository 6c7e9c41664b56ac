"""What is believed of the signals before a study has finished a run: as pseudo-trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# One pseudo-trial: signals in standard deviations from the cohort's mean, target 1 above it.
# A lower early evaluation of the objective goes with a lower end: the only sign found to carry
# over between recorded workloads. Lower norm and HIGHER loss are better: Pareja et al.
# (arXiv 2412.13337), seen by eye on a few runs, hence the small steps; at a strength of 8
# pseudo-trials this direction tripled the regret on recorded runs that disagree with it.
PAPER = {"early_eval": 1.0, "loss": -0.3, "grad_norm": 0.3, "grad_norm_noise_free": 0.3}

NORMS = ("grad_norm", "grad_norm_noise_free")  # two signals, of which a table has one


@dataclass(frozen=True, slots=True)
class Prior:
    """`strength` pseudo-trials with the given moments: mean of s s' and of s t.

    A conjugate prior: the posterior is as if `strength` further trials had been seen, except that
    their fit says nothing about the noise. Strength 0 has no direction. Raw and noise-free norm
    are two signals.
    """

    strength: float
    second: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    cross: Mapping[str, float] = field(default_factory=dict[str, float])

    def comparing(self, norm: str) -> Prior:
        """The prior for a table whose column "grad_norm" is this one of NORMS: what it says of the
        other is left out."""
        name_in_table = {n: "grad_norm" if n == norm else n for n in self.cross}
        for other in NORMS:
            if other != norm:
                name_in_table.pop(other, None)
        second = {
            (name_in_table[a], name_in_table[b]): value
            for (a, b), value in self.second.items()
            if a in name_in_table and b in name_in_table
        }
        cross = {name: self.cross[n] for n, name in name_in_table.items()}
        return Prior(self.strength, second, cross)

    def moments(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """strength x (mean s s', mean s t) for these signals; 0 for one it does not know.

        Shapes (num_signals, num_signals) and (num_signals,).
        """
        second = np.array([[self.second.get((a, b), 0.0) for b in names] for a in names])
        cross = np.array([self.cross.get(a, 0.0) for a in names])
        return self.strength * second.reshape(len(names), len(names)), self.strength * cross


def paper_prior(strength: float) -> Prior:
    """The paper's direction, and that the objective keeps its order: see PAPER."""
    second = {(a, b): x * y for a, x in PAPER.items() for b, y in PAPER.items()}
    return Prior(strength, second, PAPER)


def pooled_prior(strength: float, names: Sequence[str], signals: Floats, targets: Floats) -> Prior:
    """Past studies' finished trials, together as heavy as `strength` pseudo-trials.

    `signals` (num_trials, num_signals) standardised within each study, `targets` (num_trials,)
    squashed and centred within each study. No trials: no direction.
    """
    if len(targets) == 0:
        return Prior(0.0)
    second, cross = signals.T @ signals / len(targets), signals.T @ targets / len(targets)
    pairs = {(a, b): float(second[i, j]) for i, a in enumerate(names) for j, b in enumerate(names)}
    return Prior(strength, pairs, {a: float(cross[i]) for i, a in enumerate(names)})
