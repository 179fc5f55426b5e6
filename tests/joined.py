"""Runs in processes that JAX joins on this machine: `start` them, then `finish` them.

As a program: python -m tests.joined RUNS.json DEVICES COORDINATOR PROCESSES ID
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def launch(num_processes, *command):
    """Starts processes; each gets the address to meet at, how many, and which it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, *command, f"127.0.0.1:{port}", str(num_processes), str(i)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(num_processes)
    ]


def start(folder, runs, *, num_processes=1, num_devices=1):
    """Starts processes that train one run after the other.

    Args:
      folder: for the processes' own files.
      runs: (config, workdir) of each.
      num_processes: how many there are.
      num_devices: of each process.
    """
    spec = [[config.to_json(), str(workdir)] for config, workdir in runs]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "runs.json"
    path.write_text(json.dumps(spec))
    command = ("-m", "tests.joined", path, str(num_devices))
    return launch(num_processes, *command)


def finish(started):
    """Waits for processes, and makes sure that all went well."""
    logs = [process.communicate()[1] for process in started]
    assert not any(process.returncode for process in started), "\n".join(logs)


def main(runs, num_devices, coordinator, num_processes, process_id):
    """One of the processes."""
    import jax  # noqa: PLC0415

    jax.config.update("jax_num_cpu_devices", int(num_devices))
    # Compiling is most of the time; what is computed where stays the same.
    jax.config.update("jax_disable_most_optimizations", True)

    from ml_collections import ConfigDict  # noqa: PLC0415

    from jaxart.devices import processes  # noqa: PLC0415
    from jaxart.models import MODELS  # noqa: PLC0415
    from jaxart.training import loop  # noqa: PLC0415
    from tests.runs import TinyNet  # noqa: PLC0415

    MODELS["tinynet"] = TinyNet
    if int(num_processes) > 1:
        processes.start(coordinator, int(num_processes), int(process_id))
    assert jax.device_count() == int(num_processes) * int(num_devices)
    for text, workdir in json.loads(Path(runs).read_text()):
        loop.train_and_evaluate(ConfigDict(json.loads(text)), workdir)


if __name__ == "__main__":
    main(*sys.argv[1:])
