"""The noise-free norm against direct per-sample gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from predictor.noise import gradient_noise_scale, squared_norm_estimate
from tests.support import sharded
from trainer.data.batches import collate, num_loss_tokens
from trainer.training.observe import GradientMeter, clip_gradients, noise_free_sq, squared_norm


def test_two_equal_micro_batches_give_their_inner_product() -> None:
    h = np.array([[3.0, 1.0], [1.0, 2.0]]) / 2
    total, parts = float((h.sum(0) ** 2).sum()), float((h**2).sum())
    assert noise_free_sq(total, parts, [0.5, 0.5]) == pytest.approx(3 * 1 + 1 * 2)


def test_no_noise_leaves_the_whole_norm() -> None:
    shares, gradient = [0.1, 0.2, 0.7], np.array([2.0, -1.0])
    h = [share * gradient for share in shares]
    parts = float(sum((part**2).sum() for part in h))
    assert noise_free_sq(5.0, parts, shares) == pytest.approx(5.0)


@pytest.mark.parametrize("shares", [[1.0], [1.0, 0.0], [0.0, 1.0]])
def test_one_micro_batch_tells_nothing(shares: list[float]) -> None:
    assert noise_free_sq(1.0, 1.0, shares) is None


@pytest.mark.slow
def test_squared_norm_is_exact_where_torchs_own_is_not() -> None:
    # 16 M elements whose squares span many orders of magnitude, as in an embedding's gradient.
    torch.manual_seed(0)
    tensor = torch.randn(32768, 512) * torch.rand(32768, 512).pow(6)
    exact = float(tensor.double().square().sum())
    assert float(squared_norm(tensor)) == pytest.approx(exact, rel=1e-5)
    assert float(squared_norm(torch.ones(8, dtype=torch.bfloat16))) == pytest.approx(8)
    assert float(squared_norm(torch.tensor(3.0))) == pytest.approx(9)


def grads_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]


@pytest.fixture(scope="module")
def per_sample(tiny_model: Path) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of each sample's summed token loss (num_samples, num_params), and its tokens."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    rng = np.random.default_rng(0)
    gradients, counts = [], []
    for _ in range(48):
        length = int(rng.integers(3, 24))  # ragged on purpose
        ids = torch.from_numpy(rng.integers(1, 257, (1, length)))
        ids[:, ::2] = 7  # something to agree on, so that |G|^2 is not all noise
        model.zero_grad()
        (model(input_ids=ids, labels=ids).loss * (length - 1)).backward()
        gradients.append(torch.cat([grad.flatten() for grad in grads_of(model)]).numpy())
        counts.append(length - 1)
    return np.stack(gradients).astype(np.float64), np.array(counts)


def estimate(gradients: np.ndarray, counts: np.ndarray, rows: np.ndarray, size: int) -> float:
    """The estimator on one batch (`rows`), split in the given order."""
    total_tokens = counts[rows].sum()
    parts = rows.reshape(-1, size)
    h = gradients[parts].sum(1) / total_tokens  # (num_micro_batches, num_params)
    shares = counts[parts].sum(1) / total_tokens
    found = noise_free_sq(float((h.sum(0) ** 2).sum()), float((h**2).sum()), shares.tolist())
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "size"), [(8, 1), (8, 2), (16, 1), (16, 4)])
def test_it_is_unbiased_over_batches(
    per_sample: tuple[np.ndarray, np.ndarray], batch: int, size: int
) -> None:
    gradients, counts = per_sample
    # Projecting keeps every inner product's expectation and makes many draws cheap.
    rng = np.random.default_rng(1)
    projection = rng.standard_normal((gradients.shape[1], 64)) / 8
    gradients = gradients @ projection
    truth = float(((gradients.sum(0) / counts.sum()) ** 2).sum())
    raw, found = [], []
    for _ in range(3000):
        rows = rng.integers(0, len(counts), batch)
        found.append(estimate(gradients, counts, rows, size))
        raw.append(float(((gradients[rows].sum(0) / counts[rows].sum()) ** 2).sum()))
    error = np.std(found) / np.sqrt(len(found))
    # A ragged batch is a ratio estimate, biased by about 1 / batch of the noise that is left.
    assert abs(np.mean(found) - truth) < 3 * error + 0.02 * truth
    assert np.mean(raw) - truth > 10 * error  # what the raw norm reads out instead


@pytest.mark.slow
def test_any_random_split_of_one_batch_agrees_with_the_split_into_samples(
    per_sample: tuple[np.ndarray, np.ndarray],
) -> None:
    gradients, counts = per_sample
    rng = np.random.default_rng(2)
    finest = estimate(gradients, counts, np.arange(32), 1)
    for size in (2, 4, 8):
        found = [estimate(gradients, counts, rng.permutation(32), size) for _ in range(200)]
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - finest) < 4 * error + 0.01 * abs(finest)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hooks_see_each_backward_alone_tied_weights_once(
    tiny_model: Path, dtype: torch.dtype
) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=dtype)
    assert model.config.tie_word_embeddings
    batches = [
        torch.randint(1, 257, (2, 9), generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    ]
    alone = []
    for ids in batches:
        model.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        alone.append(sum(float(grad.double().square().sum()) for grad in grads_of(model)))
    model.zero_grad()
    meter = GradientMeter(model.parameters())
    meter.attach()
    for ids in batches:
        model(input_ids=ids, labels=ids).loss.backward()
    total, parts = meter.read()
    assert parts == pytest.approx(sum(alone), rel=1e-5)
    direct = sum(float(grad.double().square().sum()) for grad in grads_of(model))
    assert total == pytest.approx(direct, rel=1e-5)
    meter.detach()
    meter.reset()
    model(input_ids=batches[0], labels=batches[0]).loss.backward()
    assert meter.read()[1] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "micro_batch"), [(8, 1), (8, 2), (24, 3), (24, 6)])
def test_a_trial_agrees_with_every_sample_taken_alone(
    drive: Any, tiny_model: Path, data_dir: Path, tmp_path: Path, batch: int, micro_batch: int
) -> None:
    """Weights fixed, ragged rows: |G|^2 and the noise scale, within the errors they state."""
    from transformers import AutoModelForCausalLM

    from trainer.contract.spec import ModelSpec, Stepped, TrialSpec
    from trainer.data.batches import Rows
    from trainer.worker import run_trial

    spec = TrialSpec(
        number=0,
        seed=0,
        model=ModelSpec(str(tiny_model), dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=batch,
        budget_samples=batch * 100,
        window_samples=batch * 100,
        metrics=(),
        early_eval=0,
        learning_rate=0.0,
        micro_batch=micro_batch,
        save_model=False,
        num_threads=1,
    )
    told = drive(run_trial, spec)
    steps = [event.observation for event in told if isinstance(event, Stepped)]
    assert len(steps) == 100

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    rows = Rows(data_dir / "train")
    sums, counts = [], []
    for row in range(len(rows)):
        one = collate([rows[row]])
        model.zero_grad()
        counts.append(num_loss_tokens(one))
        (model(input_ids=one["input_ids"], labels=one["labels"]).loss * counts[-1]).backward()
        sums.append(torch.cat([grad.flatten() for grad in grads_of(model)]).double().numpy())
    gradients, tokens = np.stack(sums), np.array(counts)
    # Pairs of different samples: what batches drawn without repeats can see of the expectation.
    pairs = float((gradients.sum(0) ** 2).sum() - (gradients**2).sum())
    squared = pairs / float(tokens.sum() ** 2 - (tokens**2).sum())
    around = gradients - tokens[:, None] * gradients.sum(0) / tokens.sum()
    trace = float((around**2).sum()) / (len(rows) - 1) / tokens.mean() ** 2

    found = squared_norm_estimate(steps)
    scale = gradient_noise_scale(steps, batch)
    assert found is not None and scale is not None
    assert abs(found.value - squared) < 3 * found.standard_error
    assert found.standard_error < 0.2 * squared  # it could have failed
    assert abs(scale.value - trace / squared) < 3 * scale.standard_error
    assert scale.standard_error < 0.3 * scale.value
    raw = float(np.mean([step.grad_norm**2 for step in steps]))
    assert raw == pytest.approx(squared + trace / batch, rel=0.1)


def ragged_rows(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(count):
        ids = rng.integers(1, 257, int(rng.integers(4, 20)))
        labels = ids.copy()
        labels[:2] = -100
        rows.append((ids, labels))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "micro_batch"), [(2, 8), (2, 3), (4, 1)])
def test_a_sharded_gradient_has_the_norm_of_the_whole(
    tiny_model: Path, drive_forked: Any, processes: int, micro_batch: int
) -> None:
    from transformers import AutoModelForCausalLM

    rows = ragged_rows(16)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    batch = collate(rows)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum"
    )
    (loss / num_loss_tokens(batch)).backward()
    norm = sum(float(grad.double().square().sum()) for grad in grads_of(model)) ** 0.5

    job = sharded.Job(str(tiny_model), rows, processes, micro_batch, clip=norm / 10)
    (found,) = drive_forked(sharded.run, job)
    assert found.loss == pytest.approx(loss.item() / num_loss_tokens(batch), rel=1e-4)
    assert found.norm == pytest.approx(norm, rel=1e-4)
    assert found.clipped == pytest.approx(norm / 10, rel=1e-4)
    # What a norm of one process's shards would have said, and why the noise is not measured here.
    assert found.own_shard < 0.9 * norm
    assert not found.can_measure_noise


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_model_that_accelerate_has_sharded_trains_and_measures_alike(
    tiny_model: Path, data_dir: Path, drive_forked: Any, tuning: str
) -> None:
    (found,) = drive_forked(sharded.run_wrapped, (tuning, str(tiny_model), str(data_dir)))
    assert found.norm[1] == pytest.approx(found.norm[0], rel=1e-4)
    assert found.norm_after_giving_up == pytest.approx(found.norm[0], rel=1e-4)
    assert found.evaluation[1] == pytest.approx(found.evaluation[0], rel=1e-5)


def test_clipping_leaves_a_small_gradient_alone() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    clip_gradients([parameter], 10.0, torch.tensor(5.0))
    assert parameter.grad.tolist() == [3.0, 4.0]
    clip_gradients([parameter], 1.0, torch.tensor(5.0))
    assert parameter.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-6)
