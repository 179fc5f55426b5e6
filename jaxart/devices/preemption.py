"""When the processes of a run stop: all after the same step."""

import os
import signal

import jax
from jax.experimental import multihost_utils

from jaxart.devices import stopping

_told: list[int] = []  # the coordinator, of a signal


def stops_after(step: int) -> int:
    """The signal after which the run ends with this step, or 0; asked after each step.

    All processes end with the same one: JAX's coordinator has each hear of a SIGTERM
    that any of them gets. The number is that of a signal.
    """
    own = stopping.requested()
    if not jax.distributed.is_initialized():
        return own
    if own and own not in _told:  # a Ctrl-C: the coordinator listens to SIGTERM alone
        _told.append(own)
        os.kill(os.getpid(), signal.SIGTERM)
    if multihost_utils.reached_preemption_sync_point(step):
        return own or signal.SIGTERM
    return 0
