"""What the recipes look like on a terminal or in a pipe."""

from __future__ import annotations

from sweep.report import recipes_text
from sweep.report.console import Console, heading, make_console, plain, print_columns, print_lines
from sweep.report.recipes_text import RecipesReport
from sweep.report.text_table import Column


def print_recipes(report: RecipesReport, console: Console | None = None) -> None:
    """Print every recipe with its sources, and what the study would make of them if there is
    one."""
    console = console or make_console()
    key, names = Column("", False), [Column(one.name) for one in report.recipes]
    console.print(plain("Recipes", "bold"))
    print_lines([report.about], console)
    columns = [key, *names, Column("source", False, True)]
    print_columns(console, columns, recipes_text.source_rows(report.recipes))
    if report.study is None:
        return
    heading(console, f"What {report.study} would make of them")
    columns = [key, *names, Column("in the\nstudy", False), Column("because", False, True)]
    print_columns(console, columns, recipes_text.taken_rows(report.taken))
    print_lines(recipes_text.outcome_lines(report.taken), console)
