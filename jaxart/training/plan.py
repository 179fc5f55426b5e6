"""When things happen in a run: its steps and epochs, what is shown, what is saved."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a run, from 1; the fields but the first are the config's."""

    num_train: int  # training images
    batch_size: int
    num_epochs: int
    display_step: int
    checkpoint_every_epochs: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last one may be ragged."""
        return -(-self.num_train // self.batch_size)

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.num_epochs * self.steps_per_epoch

    def epoch(self, step: int) -> int:
        """How many epochs are done after a step."""
        return step // self.steps_per_epoch

    def num_images(self, step: int) -> int:
        """Images of a step's batch."""
        start = (step - 1) % self.steps_per_epoch * self.batch_size
        return min(self.batch_size, self.num_train - start)

    def shows(self, step: int) -> bool:
        """Whether TensorBoard gets what a step logs."""
        return step % self.display_step == 0

    def ends_epoch(self, step: int) -> bool:
        """Whether a step is an epoch's last, after which the network is evaluated."""
        return step % self.steps_per_epoch == 0

    def saves(self, step: int) -> bool:
        """Whether there is a checkpoint after a step that ends an epoch."""
        epoch = self.epoch(step)
        return epoch == self.num_epochs or epoch % self.checkpoint_every_epochs == 0
