"""Options that the functions and commands which look at recorded runs have in common."""

from __future__ import annotations

from trainer.contract.spec import UserError


class BadOption(UserError):
    """What is wrong with an option of a function. `of_command`: the same of the command's."""

    def __init__(self, option: str, problem: str, flag: str | None = None) -> None:
        super().__init__(f"{option}{problem}")
        self.of_command = f"--{flag or option.replace('_', '-')}{problem}"


def check_at_least(least: int, **options: int) -> None:
    """Raise BadOption for the first option below `least`."""
    for name, value in options.items():
        if value < least:
            raise BadOption(name, f": is {value}; must be at least {least}")
