"""A comparison of policies on a terminal: its table, what it comes to, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.stats import FEWEST_UNITS
from sweep.analysis.replay.report import OTHER_MODE, UNAUDITED, PolicyResult, ReplayReport
from sweep.analysis.replay.table import INTERVALS, columns_with_values, print_policies
from sweep.analysis.replay.verdict import compute_interval, in_orders, regret_interval
from sweep.formats import counted
from sweep.report.console import Console, make_console, plain, print_wrapped

_LEGEND = {  # by column
    "compute": "compute: share of training everything to its end.",
    "regret": "regret: the best run kept less the best of all, as a share of median - best.",
    "p90": "p90: of the regret, over replays.",
    "lost best": "lost best: replays with a regret above 0.05.",
    "config regret": "config regret: by seed means of configurations.",
    "wall": "wall: in full runs.",
}
_NAMES = {
    UNAUDITED: "audit 0: no pruned run goes on to its end as a check.",
    OTHER_MODE["stream"]: "stream: each run judged alone, at its window (pruning.mode), audit 0.",
    OTHER_MODE[
        "scout"
    ]: "scout: all to their window, then the most promising (pruning.mode), audit 0.",
    "ASHA 2": "ASHA: successive halving that parks and promotes, at our looks.",
    "MedianPruner (looks)": "(looks): told the evaluations of our looks.",
    "random 75 %": "random 75 %: that share of the runs, drawn at random, to their end.",
}


def print_replay(report: ReplayReport, console: Console | None = None) -> None:
    """Print the report, on standard output if no `console` is given."""
    console = console or make_console()
    console.print(plain(headline(report), "bold"))
    columns = print_policies(console, report.policies)
    console.print()
    print_wrapped(console, [*report.verdict, *report.cautions])
    console.print()
    meaning = " ".join(text for name, text in _LEGEND.items() if name in columns)
    legend = [meaning, *_narrow(columns, report.policies), _floor(report)]
    legend += _names(report.policies)
    legend += _intervals(report) if {*INTERVALS} & {*columns} else []
    print_wrapped(console, [*legend, *_limits(report)], "dim")
    if len(report.policies) == 3:
        print_wrapped(console, ["With --against all: every baseline, Optuna's pruners too."], "dim")


def headline(report: ReplayReport) -> str:
    """`demo: 8 runs, replayed in 3 orders on 1 worker`."""
    workers = counted(report.workers, "worker")
    names = report.groups[0].group if len(report.groups) == 1 else f"{len(report.groups)} groups"
    num_runs = sum(group.runs for group in report.groups)
    return f"{names}: {num_runs} runs, replayed in {in_orders(report.orders)} on {workers}"


def _narrow(columns: Sequence[str], policies: Sequence[PolicyResult]) -> list[str]:
    left_out = [name for name in columns_with_values(policies) if name not in columns]
    return [f"Not shown at this width: {', '.join(left_out)}."] if left_out else []


def _floor(report: ReplayReport) -> str:
    num = report.settings.get("startup", 1)
    assert isinstance(num, int)
    return (
        f"floor: {report.floor:.3f} of the compute, with {counted(num, 'run')} trained to "
        f"{'its' if num == 1 else 'their'} end plus one look at each of the others. It is the "
        "floor of one look: a policy that starts fewer runs can be below it."
    )


def _names(policies: Sequence[PolicyResult]) -> list[str]:
    names = {policy.name for policy in policies}
    return [line for name, line in _NAMES.items() if name in names]


def _intervals(report: ReplayReport) -> list[str]:
    is_few = len(report.groups) < FEWEST_UNITS
    unit = "the orders of so few groups" if is_few else "groups"
    text = f"95 %: by resampling {unit}, the same ones for all policies"
    ends = [(compute_interval(one), regret_interval(one)) for one in report.policies]
    has_equals = any(None in pair for pair in ends)
    return [f"{text}; - where all of them are equal." if has_equals else f"{text}."]


def _limits(report: ReplayReport) -> list[str]:
    found = [
        "Every replay starts without past studies: pruning.history is not used. Evaluations cost "
        "nothing here."
    ]
    left_out = sum(group.left_out for group in report.groups)
    if left_out:
        runs = "1 run is" if left_out == 1 else f"{left_out} runs are"
        found.append(
            f"{runs} left out, failed, given up or pruned by rank when recorded: how they would "
            "have ended is not known. What a pruner left over flatters every policy."
        )
    guarded = sum(group.guarded for group in report.groups)
    if guarded:
        runs = "1 run was" if guarded == 1 else f"{guarded} runs were"
        found.append(f"{runs} ended by a guard, and so under every policy.")
    num_evals = min(group.evaluations for group in report.groups)
    if report.points and num_evals < report.points:
        found.append(
            f"A run was evaluated {num_evals:.0f} times when recorded (where least often). At the "
            f"others of their {report.points} points the baselines on the evaluation loss were "
            "told nothing; a script that evaluates at each would have told them more."
        )
    if report.groups_without_end:
        names = ", ".join(report.groups_without_end)
        found.append(f"Not replayed, as no run was trained to its end: {names}.")
    return found
