"""The audit coin: which trials would go on to the end even if they were pruned."""

from __future__ import annotations

import hashlib


def is_audited(seed: int, number: int, share: float) -> bool:
    """Whether hash(study seed, trial number) < share.

    Uniform over trials, and independent of what the trial does, of the process, the order of events
    and the machine: a restarted driver tosses the same coin. `share` 0 is never, 1 is always; a
    trial audited at one share is audited at any larger one.
    """
    digest = hashlib.sha256(f"audit {seed} {number}".encode()).digest()
    uniform = (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # [0, 1), exact in a float
    return uniform < share
