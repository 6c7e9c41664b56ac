"""MT-Bench of a study's kept models: answers by a job of their own each, then a judge's ratings.

Answers and ratings are on disk as they come (StudyPaths.judged): what was interrupted goes on where
it stood. The scores go to the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.account.outcome import MeasuringFailed
from sweep.config.objective import Judge
from sweep.driver.bench import Bench, who
from sweep.executors import Job
from sweep.judging.client import Client
from sweep.judging.questions import TURNS, questions
from sweep.judging.ratings import Key, Rating, rate, read_ratings
from sweep.judging.record import JUDGE, JUDGED, Judged, name_of, refuse_another
from sweep.judging.score import over, rows, score, usage
from sweep.report.data_text import trained_shapes
from trainer.contract.final import ANSWER_ENTRY, Answer, AnswerSpec, ChatQuestion, read_answers
from trainer.contract.measurement import Measurement
from trainer.contract.metrics import MT_BENCH

_TOKENIZER = "tokenizer"  # in the prepared data: see trainer/data/store.py
_CHECK = [{"role": "user", "content": "Reply with the one word: yes"}]


@dataclass(slots=True)
class MtBench:
    """MT-Bench of the models on a bench."""

    bench: Bench
    judge: Judge

    def measure(self, numbers: Sequence[int | None]) -> None:
        """These models have a score on record, as far as they had none; the base model's (None)
        comes first where it is among them, as the others are paired with it.

        UserError where the judge refuses, was another before, or a model is gone; JudgeGone where
        the judge does not answer; OutsideError and MeasuringFailed where answers could not be
        generated. What was measured by then is on record.
        """
        refuse_another(self.bench.facts, self.judge, self.bench.study.name)
        known: Mapping[str, Any] = self.bench.facts.get(JUDGED) or {}
        todo = [number for number in numbers if name_of(number) not in known]
        todo.sort(key=lambda number: number is not None)
        if not todo:
            return
        client = Client(self.judge)
        if any(self._unrated(number, self._answers(number)) for number in todo):
            client.ask(_CHECK)  # a wrong key is told before anything is generated
        self.bench.keep(JUDGE, self.judge.model_dump(mode="json"))
        jobs = [self._job(number) for number in todo if not _is_whole(self._answers(number))]
        self.bench.run(jobs, lambda key: f"{MT_BENCH}, answers of {who(key[1])}")
        for number in todo:
            self._rate(number, client)

    def _job(self, number: int | None) -> Job:
        bench, study, at = self.bench, self.bench.study, self.bench.paths.judged(number)
        at.mkdir(parents=True, exist_ok=True)
        folder = bench.folder(number)
        shape = study.objective.shape
        if shape == "auto":  # as trained
            shape = (
                "chat" if trained_shapes(bench.facts.get("shapes") or {}) == ["chat"] else "text"
            )
        spec = AnswerSpec(
            model=bench.spec(number).model,
            folder=None if folder is None else str(folder),
            tokenizer=str(folder or bench.paths.data / _TOKENIZER),
            file=str(self._answer_file(number)),
            questions=tuple(ChatQuestion(q.id, q.turns, q.temperature) for q in questions()),
            shape=shape,
            template=study.data.template,
            system=study.data.system,
            seed=study.run.seed,
            num_threads=bench.num_threads,
        )
        return Job(("answers", number), ANSWER_ENTRY, spec, at / "log.txt")

    def _answer_file(self, number: int | None) -> Path:
        return self.bench.paths.judged(number) / "answers.jsonl"

    def _rating_file(self, number: int | None) -> Path:
        return self.bench.paths.judged(number) / "ratings.jsonl"

    def _answers(self, number: int | None) -> Mapping[Key, Answer]:
        return read_answers(self._answer_file(number))

    def _ratings(self, number: int | None, answers: Mapping[Key, Answer]) -> dict[Key, Rating]:
        return read_ratings(self._rating_file(number), self.judge.model, answers)

    def _unrated(self, number: int | None, answers: Mapping[Key, Answer]) -> int:
        return len(_all_keys() - set(self._ratings(number, answers)))

    def _rate(self, number: int | None, client: Client) -> None:
        answers = self._answers(number)
        if not _is_whole(answers):
            raise MeasuringFailed(f"{self._answer_file(number)} lacks answers that were there")
        if num := self._unrated(number, answers):
            self.bench.view.say(f"{MT_BENCH}: {self.judge.model} rates {num} of {who(number)}")
        ratings = rate(questions(), answers, self.judge, self._rating_file(number), client=client)
        base = {} if number is None else self._ratings(None, self._answers(None))
        self._record(number, answers, ratings, base)

    def _record(
        self,
        number: int | None,
        answers: Mapping[Key, Answer],
        ratings: Mapping[Key, Rating],
        base: Mapping[Key, Rating],
    ) -> None:
        found, said = score(questions(), ratings), answers.values()
        if found.value is None:
            raise MeasuringFailed(
                f"the judge {self.judge.model} gave no rating to any answer of {who(number)}: "
                f"what it said is in {self._rating_file(number)}; delete that file to ask it again"
            )
        judged = Judged(
            found,
            *over(questions(), ratings, base),
            usage=usage(ratings.values(), self.judge),
            num_cut=sum(one.is_prompt_cut for one in said),
            num_unended=sum(not one.is_whole for one in said),
        )
        measured = Measurement(
            found.value,
            found.num_rated,
            input_tokens=sum(one.prompt_tokens + one.tokens for one in said),
            seconds=sum(one.seconds for one in said),
            groups={name: mean for name, mean in found.categories.items() if mean is not None},
            stderr=found.stderr,
            group_stderrs=dict(found.category_stderrs),
            over_base=judged.over_base,
            over_base_stderr=judged.over_base_stderr,
        )
        own = rows(questions(), ratings)
        scores = {} if own is None else {MT_BENCH: own}
        with self.bench.ledger.at_once():
            self.bench.record(number, {MT_BENCH: measured}, scores)
            known: Mapping[str, Any] = self.bench.facts.get(JUDGED) or {}
            self.bench.keep(JUDGED, {**known, name_of(number): judged.to_json()})
        self.bench.view.say(f"{MT_BENCH} of {who(number)}: {found.value:.2f} by {self.judge.model}")


def _all_keys() -> set[Key]:
    return {(question.id, turn) for question in questions() for turn in TURNS}


def _is_whole(answers: Mapping[Key, Answer]) -> bool:
    return _all_keys() <= set(answers)
