"""Which parked trials keep a checkpoint: the most promising, as far as `run.parked_gb` goes."""

from __future__ import annotations

from predictor.types import Verdict
from sweep.driver.memory import GB, adapter_params, checkpoint_gb
from sweep.driver.parked_checkpoints import limit_bytes, to_drop
from sweep.driver.scouting import current_plan
from sweep.driver.study_state import StudyState
from sweep.driver.trial import Trial
from sweep.formats import gigabytes
from trainer.contract.spec import Stop


def set_limit(study: StudyState) -> None:
    """The limit of this session, by what the disk has now, and what one checkpoint will take."""
    if not study.settings.scouts:
        return
    config, facts, parked = study.loaded.study, study.facts, study.parked
    adapter = adapter_params(config, facts)
    model = config.model
    each = checkpoint_gb(facts["num_params"], model.tuning, model.weights, adapter)
    parked.bytes_each = each * GB
    parked.limit_bytes = limit_bytes(config, study.paths.out, parked.total_bytes)


def reply_to(study: StudyState, trial: Trial, verdict: Verdict) -> Verdict | Stop:
    """What a trial that waits for its verdict is sent: one that is parked, and whose checkpoint
    would be dropped at once, writes none."""
    if verdict.action != "park" or _would_keep(study, trial):
        return verdict
    return Stop(checkpoint=False)


def make_room(study: StudyState) -> list[str]:
    """Sentences on who has lost a checkpoint, as those of parked trials took more than they may."""
    parked = study.parked
    if parked.total_bytes <= parked.limit_bytes:
        return []
    dropped = to_drop(parked.sizes, current_plan(study).ranking, parked.limit_bytes)
    parked.drop(dropped)
    most = gigabytes(parked.limit_bytes / GB)
    return [
        f"trial {number}: its checkpoint is dropped, as parked ones take {most} at most "
        "(run.parked_gb); if it goes on it is trained again"
        for number in dropped
    ]


def _would_keep(study: StudyState, trial: Trial) -> bool:
    parked, each = study.parked, study.parked.expected_bytes()
    if parked.total_bytes + each <= parked.limit_bytes:
        return True
    if each > parked.limit_bytes:
        return False
    sizes = {**parked.sizes, trial.number: each}
    return trial.number not in to_drop(sizes, current_plan(study).ranking, parked.limit_bytes)
