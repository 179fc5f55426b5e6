"""What a run shows while it trains: a progress bar, TensorBoard, and when it fails."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array
from tqdm import tqdm

from jaxart.devices import processes
from jaxart.training import summaries, writers
from jaxart.training.optim import make_schedule
from jaxart.training.plan import Plan
from jaxart.training.run import Run

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Log:
    """Takes what steps and epochs give; an opened one is from `opened`."""

    writer: Any
    bar: tqdm
    plan: Plan
    schedule: optax.Schedule
    class_names: Sequence[str]
    # Since the last look, still on the device.
    losses: list[Array] = dataclasses.field(default_factory=list)

    def step(self, step: int, logs: Mapping[str, Any]) -> None:
        """Shows a training step; looks at the losses now and then, as that waits.

        Raises:
          FloatingPointError: one is no longer finite.
        """
        self.bar.update(self.plan.num_images(step))
        self.losses.append(logs["loss"])
        if self.plan.shows(step) or self.plan.ends_epoch(step):
            check_finite(self.losses, step, self.schedule)
            self.losses.clear()
        if self.plan.shows(step):
            rate = _learning_rate(self.schedule, step)
            summaries.write_training(self.writer, step, logs, rate)
            self.bar.set_postfix(
                loss=f"{logs['loss']:.4f}", accuracy=f"{logs['accuracy']:.3f}"
            )

    def epoch(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Shows the validation after an epoch's last step.

        Raises:
          FloatingPointError: its loss is not finite.
        """
        check_finite([metrics["loss"]], step, self.schedule, "the validation loss")
        summaries.write_validation(self.writer, step, metrics, self.class_names)
        logger.info(
            "epoch %d: validation accuracy %.4f, loss %.4f",
            self.plan.epoch(step),
            metrics["accuracy"],
            metrics["loss"],
        )

    def flush(self) -> None:
        """Makes sure that all of it is on disk."""
        self.writer.flush()


@contextlib.contextmanager
def opened(
    run: Run, plan: Plan, class_names: Sequence[str], num_done: int
) -> Iterator[Log]:
    """A run's log of the steps after `num_done`, in place of an older one's."""
    config, is_first = run.config, processes.is_first()
    bar = tqdm(
        total=plan.num_train * config.num_epochs,
        initial=plan.num_seen(num_done),
        desc="training",
        unit="img",
        disable=not is_first,
    )
    first_step = num_done + 1
    writer = writers.create_writer(
        config.writer, run.workdir, first_step=first_step, to_disk=is_first
    )
    with contextlib.closing(writer), bar:
        summaries.write_config(writer, first_step, config.to_dict())
        yield Log(writer, bar, plan, make_schedule(config, plan), class_names)


def check_finite(
    losses: Sequence[Any],
    last_step: int,
    schedule: optax.Schedule,
    name: str = "the loss",
) -> None:
    """Stops a run whose loss, of the steps up to `last_step`, is no longer finite."""
    finite = np.isfinite(jax.device_get(losses))
    if not finite.all():
        first = int(np.argmin(finite))
        step = last_step - len(losses) + 1 + first
        rate = _learning_rate(schedule, step)
        raise FloatingPointError(
            f"{name} is {float(losses[first])} at step {step}, with learning rate "
            f"{rate:.3g}. Try a tenth of --config.learning_rate, "
            "--config.warmup_epochs=1, or less --config.momentum; and make sure that "
            "the weights file has the channel order that its images had."
        )


def _learning_rate(schedule: optax.Schedule, step: int) -> float:
    """What a step, counted from 1, is taken with."""
    return np.asarray(schedule(step - 1)).item()
