"""MT-Bench: its questions, the judge that rates answers to them, and the score. Without torch."""
