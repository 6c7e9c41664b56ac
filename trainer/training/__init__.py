"""One trial trained: steps, observations, evaluations, checkpoints."""
