"""One trial from its spec to its end: load, train, ask, obey, measure, save."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import datasets
import torch
from transformers import AutoTokenizer

from predictor.types import Observation, Verdict
from trainer.contract.checks import check_data
from trainer.contract.files import remove_tree, sync_tree
from trainer.contract.measurement import Measurement, Scores
from trainer.contract.outside import SMALL_BYTES, Cause, described
from trainer.contract.spec import (
    Alive,
    Checkpointed,
    Finished,
    Held,
    Started,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
    VerdictWanted,
)
from trainer.data.batches import Rows as TrainingRows
from trainer.data.batches import collate
from trainer.data.store import TOKENIZER, read_prepared
from trainer.evaluation.evaluator import Evaluator
from trainer.evaluation.rows import Rows
from trainer.model.adapter import hold_in_float32, lora_config
from trainer.model.load import best_device, load_model
from trainer.model.saving import Settings, save_model
from trainer.model.switches import compile_blocks
from trainer.model.team import Team
from trainer.training import checkpoint as ckpt
from trainer.training.config import sft_config
from trainer.training.link import Halted, Link, Ordered
from trainer.training.persist import Writes, checkpoint_bytes, model_bytes, tree_bytes
from trainer.training.train import Hooks, ObservedTrainer


def train_trial(spec: TrialSpec, link: Link, team: Team) -> None:
    """Run the trial, from its newest complete checkpoint if it has one. Every process of the team
    runs this."""
    link.send(Alive("loading the model"))
    try:
        trial = Trial(spec, link, team)
        trial.train()
        measurements, scores = trial.measure_all()
        model_dir = trial.save_model() if spec.save_model else None
    except Halted as halted:
        link.send(Stopped(halted.step))
        return
    # The checkpoints stay until the driver has it on record that the trial has finished.
    link.send(Finished(measurements, model_dir, scores))


class Trial:
    """A model in training, and its conversation with the driver."""

    def __init__(self, spec: TrialSpec, link: Link, team: Team) -> None:
        self.spec, self.link, self.team = spec, link, team
        self.data_dir, self.trial_dir = Path(spec.data_dir), Path(spec.trial_dir)
        self.checkpoints = self.trial_dir / "checkpoints"
        self.dtype = getattr(torch, spec.model.dtype)
        self.trial_dir.mkdir(exist_ok=True)
        self.writes = Writes(spec, link, team, self.trial_dir, self.checkpoints)
        facts = read_prepared(self.data_dir)
        check_data(spec, facts)
        self.ends: list[int] = facts["tokenizer"].get("ends", [])  # not in those of version 2
        newest = ckpt.newest_complete(self.checkpoints) if team.is_main_process else None
        self.resumed = team.broadcast(newest)
        if self.resumed:
            ckpt.refuse_other(self.resumed[0], spec)
        self.progress = (
            ckpt.read_progress(self.resumed[0], spec) if self.resumed else ckpt.Progress()
        )
        self.trainer, self.settings = self._make_trainer()
        self.clock = ckpt.Clock(spec.checkpoint_every_s, time.monotonic())
        tokenizer = self.trainer.processing_class
        self._evaluator = Evaluator(self.data_dir, self.dtype, tokenizer, spec.benchmarks)
        self._asked_not_finite = False
        self._told: Cause | None = None  # what keeps checkpoints from being written

    @property
    def first_step(self) -> int:
        """The step that it goes on after."""
        return self.resumed[1] if self.resumed else 0

    def _make_trainer(self) -> tuple[ObservedTrainer, Settings]:
        """And what its model is to be saved with."""
        device = best_device()
        model = load_model(self.spec.model, device, place=self.spec.model.parallel != "fsdp")
        tokenizer = AutoTokenizer.from_pretrained(
            self.data_dir / TOKENIZER, trust_remote_code=self.spec.model.trust_remote_code
        )
        settings = Settings.take(model).meant(
            self.ends or [tokenizer.eos_token_id], tokenizer.pad_token_id
        )
        has_adapter = self.spec.model.tuning == "lora"
        hooks = Hooks(self._alive, self.before_step, self.give_up_step, self.after_step)
        trainer = ObservedTrainer(
            self.spec,
            TrainingRows(self.data_dir / "train"),
            hooks,
            self.progress,
            self.first_step,
            self.team,
            model=model,
            args=sft_config(self.spec, self.checkpoints, device),
            train_dataset=datasets.load_from_disk(str(self.data_dir / "train")),
            data_collator=collate,
            processing_class=tokenizer,
            peft_config=lora_config(self.spec.model, model) if has_adapter else None,
        )
        if has_adapter:
            hold_in_float32(trainer.model)
        if self.spec.model.compile:
            compile_blocks(trainer.model)
        return trainer, settings

    def train(self) -> None:
        """The model is trained to its last step. Raises Halted when the driver ends the trial
        before."""
        self.link.send(Started(self.first_step))
        # Where the end alone is missing no step is trained.
        self.trainer.train(resume_from_checkpoint=str(self.resumed[0]) if self.resumed else None)

    def before_step(self) -> None:
        """A look that is due is judged, if it is not yet; weights are those before the step.
        Raises Halted."""
        # A trial that was stopped while it waited for its verdict asks again.
        self._judge_look()

    def _alive(self, doing: str) -> None:
        """Raises Ordered where an order has come, in all processes at the same call."""
        self.link.alive(doing)
        if (order := self.link.order_within(doing)) is not None:
            raise Ordered(order)

    def give_up_step(self, order: Verdict | Stop) -> None:
        """The order is obeyed, with weights and random state as before the step, which will be done
        again. Raises Halted where the order ends the trial."""
        self._obey(order, self.trainer.state.global_step)

    def after_step(self, observation: Observation) -> None:
        """The step is reported, what is to be asked is asked and obeyed, and a checkpoint saved if
        it is time. Raises Halted."""
        step = observation.step
        self.link.send(Stepped(observation))
        finite = math.isfinite(observation.loss) and math.isfinite(observation.grad_norm)
        if not finite and not self._asked_not_finite and not self.trainer.is_overflow(observation):
            self._asked_not_finite = True
            self._obey(self.link.ask(VerdictWanted(step, "not finite")), step)
        self._judge_look()
        self._obey(self.link.order(), step)
        if self.team.broadcast(self.clock.due(time.monotonic())):
            self.save_checkpoint()

    def _judge_look(self) -> None:
        step, looks = self.trainer.state.global_step, self.spec.look_steps
        if step not in looks or step <= self.progress.judged_step:
            return
        early = {}
        for metric in self.spec.metrics if self.spec.early_eval else ():
            early[metric], _ = self._measure(metric, self.spec.early_units(metric))
        order = self.link.ask(VerdictWanted(step, "window", early, looks.index(step)))
        if isinstance(order, Verdict):
            self.progress.judged_step = step  # in the checkpoint of a parked trial, too
        self._obey(order, step)

    def _obey(self, order: Verdict | Stop | None, step: int) -> None:
        """Raises Halted if the order ends the trial."""
        if isinstance(order, Stop):
            if order.checkpoint:
                self.save_checkpoint(wait=True)
            raise Halted(step)
        if order is not None and order.action == "park":
            self.save_checkpoint(wait=True)
            if self.team.is_main_process:
                ckpt.keep_newest(self.checkpoints, 1)
            raise Halted(step)
        if order is not None and order.action == "prune":
            if self.team.is_main_process:
                remove_tree(self.checkpoints)
            raise Halted(step)

    def save_checkpoint(self, *, wait: bool = False) -> None:
        """A checkpoint of the step is on disk. Where the outside keeps it from being written:
        `wait` for that to end, or go on training and try again when the next one is due."""
        step, began = self.trainer.state.global_step, time.monotonic()
        if step == 0:
            return  # nothing to go on from
        target = ckpt.checkpoint_dir(self.checkpoints, step)
        if self.team.broadcast(ckpt.is_complete(target)):
            # One that was written while it waited for a verdict knows of none.
            if self.team.broadcast(ckpt.read_progress(target, self.spec) != self.progress):
                write = lambda: self._write_progress(target)  # noqa: E731
                self.writes.until_done(f"the verdict at step {step}", SMALL_BYTES, write)
            return
        cause, needs = None, checkpoint_bytes(self.trainer.model)
        if wait:
            write = lambda: self._write_checkpoint(target, needs)  # noqa: E731
            self.writes.until_done(f"the checkpoint at step {step}", needs, write)
        else:
            cause = self._write_checkpoint(target, needs)
        self.clock.saved(began, time.monotonic())
        if cause is None:
            self.link.send(Checkpointed(step))
        elif cause is not self._told:
            why = described(cause, self.trial_dir, needs)
            text = f"no checkpoint at step {step}, {why}; it goes on and tries again later"
            self.link.send(Held(cause, text, waits=False))
        self._told = cause

    def _write_checkpoint(self, target: Path, needs_bytes: int) -> Cause | None:
        """All processes write into it; the first makes room before, and marks it complete after."""
        first, sharded = self.team.is_main_process, self.spec.model.parallel == "fsdp"
        try:
            if first:
                ckpt.keep_newest(self.checkpoints, self.spec.checkpoints_kept - 1)
            save, complete = self.trainer.write_checkpoint, lambda: self._complete(target)
            attempt = self.writes.attempt
            cause = attempt(save, target, needs_bytes, is_collective=sharded)
            cause = cause or attempt(complete, target, SMALL_BYTES, is_collective=False)
        except Exception:
            shutil.rmtree(target, ignore_errors=True)
            raise
        if cause is not None and first:
            shutil.rmtree(target, ignore_errors=True)  # give the room back
        return cause

    def _write_progress(self, target: Path) -> Cause | None:
        def write() -> None:
            if self.team.is_main_process:
                ckpt.write_progress(target, self.progress)

        return self.writes.attempt(write, target, SMALL_BYTES, is_collective=False)

    def _complete(self, target: Path) -> None:
        if self.team.is_main_process:
            ckpt.write_progress(target, self.progress)
            ckpt.write_identity(target, self.spec)
            ckpt.mark_complete(target)

    def measure_all(self) -> tuple[dict[str, Measurement], dict[str, Scores]]:
        """The final evaluation, by metric, and its scores row by row."""
        found = {metric: self._measure(metric, None) for metric in self.spec.metrics}
        return (
            {metric: measured for metric, (measured, _) in found.items()},
            {metric: rows.packed() for metric, (_, rows) in found.items()},
        )

    def _measure(self, metric: str, num_units: int | None) -> tuple[Measurement, Rows]:
        self.link.alive("evaluating")
        alive = lambda: self._alive("evaluating")  # noqa: E731
        model, measure = self.trainer.model, self._evaluator.measure
        try:
            return measure(metric, model, alive, self.team, num_units)
        except Ordered as ordered:
            self._obey(ordered.order, self.trainer.state.global_step)
            raise AssertionError("an order ends the trial") from None

    def save_model(self) -> str:
        """The folder of the model, trial_dir/model, written with its tokenizer; waits for what the
        outside keeps from it."""
        needs = model_bytes(self.trainer.model) + tree_bytes(self.data_dir / TOKENIZER)
        self.writes.until_done("the trained model", needs, lambda: self._write_model(needs))
        return str(self.trial_dir / "model")

    def _write_model(self, needs_bytes: int) -> Cause | None:
        """Written beside, then renamed."""
        target, beside = self.trial_dir / "model", self.trial_dir / "model.tmp"

        def write() -> None:
            state_dict = self.trainer.whole_state_dict()
            if self.team.is_main_process:
                shutil.rmtree(beside, ignore_errors=True)
                tokenizer = self.data_dir / TOKENIZER
                save_model(self.trainer.model, beside, self.settings, tokenizer, state_dict)
                sync_tree(beside)
                remove_tree(target)
                beside.replace(target)

        cause = self.writes.attempt(write, beside, needs_bytes, is_collective=False)
        if cause is not None and self.team.is_main_process:
            shutil.rmtree(beside, ignore_errors=True)
            ckpt.keep_newest(self.checkpoints, 1)  # it takes less than a checkpoint does
        return cause
