"""Whether a launcher has started this process beside others. Quick to import."""

import os
from collections.abc import Mapping

# Rank and count, the innermost launcher first: mpirun starts its helpers by srun.
# SLURM_NTASKS and SLURM_PROCID are also there in a batch script, which is no task; only
# srun says how many tasks its step has.
_LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


def launched() -> bool:
    """Whether a launcher that JAX knows has started this process beside others."""
    tpu_hosts = os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",")
    return has_launcher(os.environ) or len(tpu_hosts) > 1


def has_launcher(environment: Mapping[str, str]) -> bool:
    """Whether srun or Open MPI's mpirun has started this process beside others."""
    for names in _LAUNCHERS:
        rank, count = (environment.get(name, "") for name in names)
        if rank.isdecimal() and count.isdecimal():
            if int(count) < 2:
                return False
            if int(rank) < int(count):  # else they are left over from another job
                return True
    return False
