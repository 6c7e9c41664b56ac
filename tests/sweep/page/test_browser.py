"""The report page as it is used: by pointer, by keys, on paper, on a phone, with hostile names."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predictor.judge import audited, judge
from predictor.rank import rank_rule
from predictor.types import CohortTrial, Settings, Verdict, WindowSignals
from sweep.account.audits import expected_miss
from sweep.page.write import write_page
from sweep.storage.ledger import Decision, Ledger
from sweep.storage.paths import StudyPaths
from tests.support.browser import chromium, opened
from tests.support.page_ledgers import HOSTILE, SHOWN, held_to_a_floor, hostile
from tests.support.sweep_ledgers import completed, decision, fill, observation, trial, written

pytestmark = pytest.mark.slow

STREAM = Settings(mode="stream", audit=0.15, max_expected_misses=0.6)
SCOUT = Settings(max_expected_misses=1.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study with a trial in every state."""
    return made(tmp_path_factory.mktemp("demo"), fill)


def made(folder: Path, change: Any, name: str = "demo") -> Path:
    with written(folder, name) as ledger:
        change(ledger)
        return write_page(ledger, StudyPaths(folder)).path


@contextmanager
def page(browser: Any, folder: Path, change: Any, name: str = "demo") -> Iterator[Any]:
    with opened(browser, made(folder, change, name)) as tab:
        yield tab


def rows(tab: Any) -> list[int]:
    """The numbers of the trials that the table shows, in its order."""
    return [int(one) for one in tab.locator("#trial-table button.open").all_text_contents()]


def head(tab: Any, title: str) -> Any:
    return tab.locator("#trial-table thead button", has_text=title)


def test_it_opens_with_every_part(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        titles = tab.locator("h2").all_text_contents()
        assert titles == [
            *("The best", "Configurations", "Early signals against the end"),
            *("What if the risk were another?", "Risk and audits", "Curves", "Trials", "Compute"),
            "Again",
        ]
        assert tab.locator(".tiles .value").first.text_content() == "0.7400"
        assert tab.locator("#curve-loss canvas").count() == 1
        assert tab.locator("#progress .chart .run.best").count() == 1


def test_names_of_strangers_are_shown_and_harmless(browser: Any, tmp_path: Path) -> None:
    with page(browser, tmp_path, hostile, name=f"<script>{HOSTILE}") as tab:
        assert tab.locator(".study").text_content() == f"<script>{SHOWN}"
        assert tab.locator("#notes li").text_content() == SHOWN
        tab.locator("#trial-table button.open").first.click()
        tab.locator("#progress .chart").focus()
        tab.keyboard.press("ArrowRight")
        assert SHOWN in tab.locator("#tip").text_content()
        assert tab.evaluate("[window.hacked, document.scripts.length, document.images.length]") == [
            *(None, 2, 0)
        ]


def test_a_click_on_a_title_sorts_and_what_is_unknown_stays_last(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        assert rows(tab)[:3] == [2, 1, 0]  # by the objective, the best first
        assert head(tab, "choice").locator("..").get_attribute("aria-sort") == "descending"
        head(tab, "choice").click()
        assert rows(tab)[:3] == [0, 1, 2]
        head(tab, "trial").click()
        assert rows(tab) == list(range(8))
        head(tab, "learning").click()
        head(tab, "learning").click()
        assert rows(tab) == list(range(8))[::-1]


def test_states_and_words_filter_the_trials(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        tab.locator("input[name=state-completed]").uncheck()
        tab.locator("input[name=state-running]").uncheck()
        assert sorted(rows(tab)) == [3, 4, 5]
        tab.locator("#find").fill("NOT FINITE")
        assert rows(tab) == [4]
        assert tab.locator("#table-count").text_content() == "1 of 8 trials shown"


def test_many_trials_are_shown_when_asked_for(browser: Any, tmp_path: Path) -> None:
    def many(ledger: Ledger) -> None:
        for number in range(150):
            ledger.save_trial(completed(number, 0.5 + number / 1000))

    with page(browser, tmp_path, many) as tab:
        assert rows(tab) == list(range(149, 49, -1))
        tab.locator("button.all").click()
        assert len(rows(tab)) == 150


def test_keys_go_through_the_trials_of_a_picture_and_open_one(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        tab.locator("#progress .chart").focus()
        tab.keyboard.press("ArrowRight")
        assert tab.locator("#tip").is_visible()
        said = tab.locator("#said").text_content()
        assert "trial" in said
        assert "learning_rate" in said
        tab.keyboard.press("Enter")
        assert tab.locator("#trial-table tr.part h3").count() == 1
        assert tab.locator("#tip").is_hidden()


def test_a_pointer_shows_the_configuration_and_the_reason(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        tab.locator("#space .mark[data-trial='3']").hover(force=True)
        told = tab.locator("#tip").text_content()
        assert "trial 3 pruned" in told
        assert "batch_size 64" in told
        assert "rank 7 of 8" in told


def test_parameters_of_every_kind_have_a_place(browser: Any, tmp_path: Path) -> None:
    def change(ledger: Ledger) -> None:
        for number in range(4):
            row = completed(number, 0.5 + number / 10)
            row.params |= {"lora": {"rank": 8 * number}, "mix": [1, number], "flag": number > 1}
            ledger.save_trial(row)

    with page(browser, tmp_path, change) as tab:
        across, up = tab.locator("#space select").all()
        for name in ("lora", "mix", "flag", "learning_rate"):
            across.select_option(name)
            up.select_option(name)
            assert tab.locator("#space .chart .mark").count() == 4


def test_a_trials_part_has_its_decisions_and_failures(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        tab.goto(tab.url + "#trial-5")  # as a link to it does
        part = tab.locator("#trial-5")
        assert "out of memory: it was [red]said[/red]" in part.text_content()
        tab.locator("#trial-table button.open", has_text="1").first.click()
        assert tab.locator("#trial-1 .spark").count() == 2


def test_every_picture_has_a_table(browser: Any, demo: Path) -> None:
    with opened(browser, demo) as tab:
        for name in ("#progress", "#space", "#signals", "#chances", "#curves"):
            tab.locator(f"{name} details.behind summary").last.click()
            assert tab.locator(f"{name} details.behind td").count() > 0


def test_the_cost_of_a_constraint_is_drawn_with_its_bound(browser: Any, tmp_path: Path) -> None:
    with page(browser, tmp_path, held_to_a_floor) as tab:
        marks = tab.locator("#constraint-0 .chart .mark")
        assert marks.count() == 2
        assert tab.locator("#constraint-0 .chart .mark.broken").count() == 1
        bound = float(tab.locator("#constraint-0 .bound").get_attribute("x1"))
        assert float(tab.locator("#constraint-0 .chart .mark.best").get_attribute("cx")) > bound
        tab.locator("input[name=state-broken]").uncheck()
        assert rows(tab) == [0]


def test_it_is_as_wide_as_a_phone(browser: Any, demo: Path) -> None:
    with opened(browser, demo, viewport={"width": 390, "height": 844}) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_it_is_dark_where_that_is_preferred_and_light_on_paper(browser: Any, demo: Path) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, demo, color_scheme="dark") as tab:
        assert tab.evaluate(back) == "rgb(20, 24, 29)"
        tab.emulate_media(media="print", color_scheme="dark")
        assert tab.evaluate(back) == "rgb(255, 255, 255)"
        assert tab.locator("nav").is_hidden()


# --- what would have been given up at another risk


def risk_at(place: int) -> float:
    """Of a place of the slider."""
    return 10 ** (-3 + 3 * place / 1000)


def counts(tab: Any, places: list[int]) -> list[int]:
    """How many trials the page gives up with the slider there."""
    found: list[int] = []
    for place in places:
        slider = tab.locator("#risk")
        slider.evaluate(f"one => {{ one.value = {place}; one.dispatchEvent(new Event('input')) }}")
        found.append(int(tab.locator("#num-given-up").text_content()))
    return found


def streamed(seed: int = 3, num: int = 40) -> list[tuple[CohortTrial, float, Verdict]]:
    """Trials, where each would end, and the verdicts of a study that judges each at its window."""
    rng = random.Random(seed)
    seen: list[tuple[CohortTrial, float, Verdict]] = []
    for number in range(num):
        end = rng.uniform(0.2, 0.6)
        window = WindowSignals(
            64, end + 1 + rng.gauss(0, 0.05), 2.0, None, end + rng.gauss(0, 0.04)
        )
        one = CohortTrial(number, {"learning_rate": 1e-4, "batch_size": 16}, window)
        verdict = judge(one, [t for t, _, _ in seen], STREAM)
        is_over = verdict.action != "prune"
        one = replace(one, objective=end if is_over else None, expected_miss=expected_miss(verdict))
        seen.append((one, end, verdict))
    return seen


def by_the_rule(seen: list[tuple[CohortTrial, float, Verdict]], risk: float) -> int:
    """How many the driver's own rule gives up at that risk, the finished trials being the same."""
    settings = replace(STREAM, risk=risk)
    num, others = 0, list[CohortTrial]()
    for one, _, recorded in seen:
        asked = replace(one, objective=None)
        verdict = audited(rank_rule(asked, others, settings), one.number, settings)
        given_up = verdict.action in ("prune", "audit") and recorded.kind == "rank"
        num += given_up
        others.append(replace(one, expected_miss=expected_miss(verdict) if given_up else 0.0))
    return num


def test_the_slider_counts_as_the_rule_of_a_stream_does(browser: Any, tmp_path: Path) -> None:
    seen = streamed()

    def change(ledger: Ledger) -> None:
        for one, end, verdict in seen:
            row = completed(one.number, 1 - end) if one.objective else trial(one.number, "pruned")
            decided = Decision(one.number, "window", 4, verdict, "learned-6", STREAM)
            ledger.save_trial(row, decision=decided)

    places = [0, 200, 400, 500, 600, 667, 700, 800, 900, 1000]
    expected = [by_the_rule(seen, STREAM.risk if at == 667 else risk_at(at)) for at in places]
    recorded = sum(verdict.action in ("prune", "audit") for _, _, verdict in seen)
    assert expected[places.index(667)] == recorded > 3  # the study's own risk
    assert len(set(expected)) > 3
    with page(browser, tmp_path, change) as tab:
        assert tab.locator("#num-given-up").text_content() == str(recorded)
        assert counts(tab, places) == expected


def scouted(ledger: Ledger) -> None:
    """Two that go on, one below the risk, as all together were too many; an audit; three given up
    in one round, which fill the limit."""

    def decided(number: int, moment: str, action: Any, p: float, together: float) -> None:
        row = completed(number, 0.5) if action != "prune" else trial(number, "pruned")
        told = {"probability": p, "evidence": {"expected_misses": together}, "settings": SCOUT}
        ledger.save_trial(row, decision=decision(number, action, "rank", moment=moment, **told))

    decided(0, "window", "continue", 0.30, 1.6)
    decided(1, "look 1", "continue", 0.06, 1.3)
    decided(2, "parked", "audit", 0.02, 0.90)
    for number, p in ((3, 0.05), (4, 0.07), (5, 0.08)):
        decided(number, "parked", "prune", p, 0.20)


def test_the_slider_counts_by_the_stated_probabilities_of_scouts(
    browser: Any, tmp_path: Path
) -> None:
    with page(browser, tmp_path, scouted) as tab:
        assert tab.locator("#num-given-up").text_content() == "4"
        # 0.001, 0.03, 0.063, 0.1, 0.5: trial 1 goes on at any, as together they were too many
        assert counts(tab, [0, 492, 600, 667, 900]) == [0, 1, 2, 4, 4]
        assert "trial" in tab.locator("#what-if-said").text_content()


def test_given_up_scouts_are_no_more_than_the_limit_allows(browser: Any, tmp_path: Path) -> None:
    def change(ledger: Ledger) -> None:
        for number, p in enumerate((0.3, 0.4, 0.5)):
            told = {"probability": p, "evidence": {"expected_misses": 1.2}, "settings": SCOUT}
            one = decision(number, "prune", "rank", moment="parked", **told)
            ledger.save_trial(trial(number, "pruned"), decision=one)
        ledger.save_trial(completed(3, 0.7))
        ledger.add_observation(3, observation(1))

    with page(browser, tmp_path, change) as tab:
        assert counts(tab, [1000]) == [2]  # the third would bring their sum above 1
