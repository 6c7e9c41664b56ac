"""Settings that libraries read once, while they are loaded: import this before any of them."""

from __future__ import annotations

import os

# Threads that wait for each other while spinning come to a crawl when the cores are shared: an
# evaluation with 2 threads beside another busy process took 6.4 s, and 0.8 s when they sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
