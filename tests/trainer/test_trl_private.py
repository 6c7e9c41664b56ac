"""What the trainer takes for granted of TRL's and transformers' private names, a test for each."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, Trainer
from trl.trainer import utils
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from trainer.trl_private import OpenTrainer, score_labelled_positions_only


class Traced(OpenTrainer):
    """Notes which of its own methods the library calls, in their order."""

    def __init__(self, **sft: Any) -> None:
        super().__init__(**sft)
        self.called: list[str] = []
        self.folders: list[Path] = []

    def own_norm(self, model: Any) -> torch.Tensor | None:
        self.called.append("own_norm")
        return torch.tensor(2.0)

    def clip(self, model: Any, norm: torch.Tensor) -> None:
        assert norm == 2.0
        self.called.append("clip")

    def write_weights(self, folder: Path, state_dict: dict[str, Any] | None) -> None:
        assert state_dict is None
        folder.mkdir()
        self.folders.append(folder)


@pytest.fixture
def trainer(tiny_model: Path, tmp_path: Path) -> Traced:
    from datasets import Dataset

    rows = {"input_ids": [[1, 2, 3, 4]] * 4, "labels": [[1, 2, 3, 4]] * 4}
    return Traced(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=SFTConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=2,
            max_steps=1,
            max_grad_norm=1.0,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_dict(rows),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_step_asks_for_our_norm_clips_by_it_and_logs_it(trainer: Traced) -> None:
    trainer.train()
    assert trainer.called[:2] == ["own_norm", "clip"]
    (norm,) = (line["grad_norm"] for line in trainer.state.log_history if "grad_norm" in line)
    assert norm == 2.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_checkpoint_holds_our_weights_and_no_model_card(trainer: Traced, tmp_path: Path) -> None:
    trainer.train()
    trainer.write_checkpoint()
    assert trainer.folders == [tmp_path / "checkpoint-1"]
    written = {path.name for path in (tmp_path / "checkpoint-1").iterdir()}
    assert {"optimizer.pt", "scheduler.pt", "trainer_state.json"} <= written
    assert not written & {"README.md", "model.safetensors"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_nothing_is_printed_and_no_metric_is_kept(trainer: Traced) -> None:
    printers = [one for one in trainer.callback_handler.callbacks if type(one) is PrinterCallback]
    assert printers == []
    trainer._metrics["train"]["loss"].append(1.0)
    trainer.forget_metrics()
    assert not any(trainer._metrics["train"].values())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_batch_goes_to_where_the_model_is(trainer: Traced) -> None:
    batch = trainer.on_device({"input_ids": torch.ones(1, 2, dtype=torch.long)})
    assert batch["input_ids"].device == trainer.args.device
    assert trainer.router_share() is None  # no mixture of experts
    with trainer.forward_context():
        pass


def test_the_heads_of_a_cpu_pick_the_labelled_positions_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(utils, "_use_triton", lambda device: False)  # put back afterwards
    score_labelled_positions_only()
    assert utils._use_triton(torch.device("cpu")) is True  # pyright: ignore
    assert "_use_triton(" in inspect.getsource(utils.add_fused_lm_head)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_clip_grad_norm", ["self", "model"]),
        ("_get_grad_norm", ["self", "model", "grad_norm"]),
        ("_save", ["self", "output_dir", "state_dict"]),
        ("_save_checkpoint", ["self", "model", "trial"]),
        ("_prepare_inputs", ["self", "inputs"]),
    ],
)
def test_what_is_overridden_takes_these_arguments(name: str, arguments: list[str]) -> None:
    assert list(inspect.signature(getattr(Trainer, name)).parameters) == arguments
    assert hasattr(SFTTrainer, name)
