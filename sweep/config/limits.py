"""How large a study may be."""

STRIDE = (
    10_000  # so no study has more trials: a replicate's number is its original's plus a multiple
)
LARGEST_SEED = 2**32 - 1  # that NumPy takes
