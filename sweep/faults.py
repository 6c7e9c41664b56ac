"""What ends a command without being the user's mistake."""

from __future__ import annotations


class PreparationFailed(RuntimeError):
    """The data or the model could not be prepared, by no mistake of the user's that can be told."""
