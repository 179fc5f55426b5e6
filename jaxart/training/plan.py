"""When things happen in a run: its steps and epochs, what is shown, what is saved."""

import dataclasses

from jaxart.training.config import Config


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a run, from 1."""

    config: Config
    num_train: int  # training images

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last one may be ragged."""
        return -(-self.num_train // self.config.batch_size)

    @property
    def num_steps(self) -> int:
        return self.config.num_epochs * self.steps_per_epoch

    def epoch(self, step: int) -> int:
        """How many epochs are done after a step."""
        return step // self.steps_per_epoch

    def num_images(self, step: int) -> int:
        """Images of a step's batch."""
        batch_size = self.config.batch_size
        start = (step - 1) % self.steps_per_epoch * batch_size
        return min(batch_size, self.num_train - start)

    def num_seen(self, step: int) -> int:
        """Images of all batches until a step."""
        batches = step % self.steps_per_epoch
        seen = min(batches * self.config.batch_size, self.num_train)
        return self.epoch(step) * self.num_train + seen

    def shows(self, step: int) -> bool:
        """Whether TensorBoard gets what a step logs."""
        return step % self.config.display_step == 0

    def ends_epoch(self, step: int) -> bool:
        """Whether a step is an epoch's last, after which the network is evaluated."""
        return step % self.steps_per_epoch == 0

    def saves(self, step: int) -> bool:
        """Whether there is a checkpoint after a step: of some that end an epoch."""
        epoch, every = self.epoch(step), self.config.checkpoint_every_epochs
        is_due = epoch == self.config.num_epochs or epoch % every == 0
        return self.ends_epoch(step) and is_due
