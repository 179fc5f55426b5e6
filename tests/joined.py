"""Runs in processes that JAX joins on this machine: `start` them, then `finish` them.

As a program: python -m tests.joined SPEC.json PROCESS_ID
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(folder, runs, *, num_processes=1, num_devices=1):
    """Starts processes that train one run after the other.

    Args:
      folder: for the processes' own files.
      runs: (config, workdir) of each.
      num_processes: how many there are.
      num_devices: of each process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spec = {
        "coordinator": f"127.0.0.1:{port}",
        "num_processes": num_processes,
        "num_devices": num_devices,
        "runs": [[config.to_json(), str(workdir)] for config, workdir in runs],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.joined", path, str(process_id)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process_id in range(num_processes)
    ]


def finish(started):
    """Waits for processes, and makes sure that all went well."""
    logs = [process.communicate()[1] for process in started]
    assert not any(process.returncode for process in started), "\n".join(logs)


def main(path, process_id):
    """One of the processes."""
    spec = json.loads(Path(path).read_text())

    import jax  # noqa: PLC0415

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", spec["num_devices"])

    from ml_collections import ConfigDict  # noqa: PLC0415

    from jaxart import processes, train  # noqa: PLC0415

    if spec["num_processes"] > 1:
        processes.start(spec["coordinator"], spec["num_processes"], process_id)
    assert jax.device_count() == spec["num_processes"] * spec["num_devices"]
    for text, workdir in spec["runs"]:
        train.train_and_evaluate(ConfigDict(json.loads(text)), workdir)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
