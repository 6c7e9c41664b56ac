"""The tests mirror the rooms of the packages; what several share lies in support/."""

from pathlib import Path

ROOT = Path(__file__).parents[1]  # of the repository

PAPER_STUDIES = (
    "paper-batch-and-rate",
    "paper-early-dynamics",
    "paper-schedules",
    "paper-stacked-or-phased",
)
