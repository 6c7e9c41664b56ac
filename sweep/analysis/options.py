"""Options that the commands which look at recorded runs have in common."""

from __future__ import annotations

from trainer.contract.spec import UserError


def check_at_least(least: int, **options: int) -> None:
    """UserError that names the first option below `least`."""
    for name, value in options.items():
        if value < least:
            option = name.replace("_", "-")
            raise UserError(f"--{option}: is {value}; must be at least {least}")
