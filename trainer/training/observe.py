"""The gradient norm, and the norm with the batch's noise taken out, on one process or many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor


def noise_free_sq(total_sq: float, sum_micro_sq: float, shares: Sequence[float]) -> float | None:
    """Unbiased estimate of |G|^2, the squared norm of the expected gradient.

    `total_sq` is |sum h_i|^2 and `sum_micro_sq` is sum |h_i|^2, where h_i is the gradient of
    micro-batch i's summed token loss divided by the N loss-bearing tokens of the whole batch;
    `shares` are w_i = n_i / N. The cross terms h_i . h_j hold no noise of their own, and sum to
    w_i w_j |G|^2 each:  |G|^2 = (|sum h_i|^2 - sum |h_i|^2) / (1 - sum w_i^2).
    Source: McCandlish et al., arXiv 1812.06162, appendix A, here for unequal shares.
    May be negative: average over steps before taking a root. None with a single micro-batch.
    Weakness: assumes that a sample's gradient does not depend on its share (n_i is given). Where
    rows are ragged it is a ratio of two unbiased sums, off by the order of 1 / samples.
    """
    left = 1.0 - sum(share * share for share in shares)
    if sum(share > 0 for share in shares) < 2:
        return None
    return (total_sq - sum_micro_sq) / left


def separate_noise(
    total_sq: float, sum_micro_sq: float, loss_tokens: Sequence[int], scale: float = 1.0
) -> tuple[float, float] | None:
    """Noise-free and noise part of |g|^2, g the gradient of a batch; None with a single
    micro-batch.

    As `noise_free_sq`; `loss_tokens` are the n_i, and `scale` what all gradients are multiplied
    by.
    """
    total_sq, sum_micro_sq = total_sq / scale**2, sum_micro_sq / scale**2
    shares = [count / sum(loss_tokens) for count in loss_tokens]
    noise_free = noise_free_sq(total_sq, sum_micro_sq, shares)
    return None if noise_free is None else (noise_free, total_sq - noise_free)


def squared_norm(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of squares in float32, added up row by row: a scalar.

    torch's norm of a large CPU tensor loses up to 0.3 % of its square (one running sum over 28 M
    elements); the difference of two such sums would be mostly that error.
    """
    if tensor.dim() == 0:
        return tensor.float().square()
    return torch.linalg.vector_norm(tensor, dim=-1, dtype=torch.float32).square().sum()


def total_squared_norm(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """The squared norm of all gradients together, the same on every process.

    Of a sharded gradient each process holds a part: their squares are added up over the processes
    that share it, and a part that several hold counts once. (A norm of the own part alone, as some
    tools log it, is too small by about the root of the number of shards.)
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    whole = [squared_norm(gradient) for gradient in gradients if not isinstance(gradient, DTensor)]
    total = torch.stack(whole).sum() if whole else torch.zeros((), device=gradients[0].device)
    sums: dict[Any, torch.Tensor] = defaultdict(lambda: torch.zeros((), device=total.device))
    for gradient in gradients:
        if isinstance(gradient, DTensor):
            assert not any(placement.is_partial() for placement in gradient.placements)
            mesh = gradient.device_mesh
            dims = tuple(
                i for i, placement in enumerate(gradient.placements) if placement.is_shard()
            )
            sums[mesh, dims] += squared_norm(gradient.to_local())
    for (mesh, dims), part in sums.items():
        for dim in dims:
            torch.distributed.all_reduce(part, group=mesh.get_group(dim))
        total = total + part
    return total


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[torch.nn.Parameter], max_norm: float, norm: torch.Tensor
) -> None:
    """All gradients are scaled down so that their global norm, now `norm`, is at most
    `max_norm`."""
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    local = [g.to_local() if isinstance(g, DTensor) else g for g in gradients]
    torch._foreach_mul_(local, scale)  # pyright: ignore[reportPrivateImportUsage]


class GradientMeter:
    """Sums |h_i|^2 over the backward passes of a step, through hooks on the trainable parameters.

    A hook on a leaf sees the gradient of this backward alone, before it is added to what the
    earlier micro-batches left; a tied weight is one leaf. All stays on the device until it is read.
    On several processes it sees this process's gradients before they are averaged with the others'.
    Hooks on sharded parameters never fire: there it measures nothing (`can_measure`).
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._sum = torch.zeros((), device=self._parameters[0].device)
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    @property
    def can_measure(self) -> bool:
        """Whether the parameters are whole: of sharded ones nothing is measured."""
        return not any(isinstance(parameter, DTensor) for parameter in self._parameters)

    @property
    def attached(self) -> bool:
        """Whether it measures."""
        return bool(self._handles)

    def watch(self, in_window: bool) -> None:
        """A step begins; inside the window it is measured, where it can be."""
        if in_window and not self.attached and self.can_measure:
            self.attach()
        elif not in_window:
            self.detach()
        self.reset()

    def attach(self) -> None:
        """Measure from the next backward pass on."""
        assert not self._handles
        self._handles = [parameter.register_hook(self._add) for parameter in self._parameters]

    def detach(self) -> None:
        """Measure no more, at no cost."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def reset(self) -> None:
        """Begin the sums of a step."""
        self._sum.zero_()

    def read(self) -> tuple[float, float]:
        """(|sum h_i|^2, sum |h_i|^2), before the gradients are clipped. Waits for the device."""
        total = total_squared_norm(self._parameters)
        both = torch.stack([total, self._sum]).tolist()
        return both[0], both[1]

    def _add(self, gradient: torch.Tensor) -> None:
        self._sum += squared_norm(gradient.detach())
