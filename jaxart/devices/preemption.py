"""When the processes of a run stop: all after the same step.

Not by `multihost_utils.reached_preemption_sync_point`: Orbax 0.12 asks it, too, of
steps that are over, and then the step on which all agree may have passed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxart.devices import processes, stopping
from jaxart.devices.layout import DATA, Layout


class Agreement:
    """What the processes of a run have heard; each asks it after each step."""

    def __init__(self, layout: Layout):
        self._layout = layout
        self._max = jax.jit(jnp.max, out_shardings=layout.replicated)
        self._heard: Array | None = None  # until the last step, of all processes

    def after_step(self) -> int:
        """The signal after which the run ends with this step, or 0.

        Alone, that is what this process has heard. Otherwise it is what any had heard
        a step ago: nobody waits for the step that runs.
        """
        own = stopping.requested()
        if processes.count() == 1:
            return own
        num_devices = self._layout.mesh.shape[DATA]
        rows = range(num_devices)[self._layout.own_rows(num_devices)]
        before = self._heard
        self._heard = self._max(self._layout.put_batch(np.full(len(rows), own)))
        return 0 if before is None else int(before)
