"""From the command to its first training step."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STEP_DONE = b"loss="  # tqdm shows it after a displayed step


def run(
    weights: str, train_data: str, image_root: str, num_classes: int, cache_dir: str
) -> dict[str, Any]:
    """Times `python -m jaxart.main` with nothing compiled before, and again.

    The frozen layers' activations are in `cache_dir` by then: a first run, which is
    not timed, makes sure of that.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "jaxart.main", "--config=configs/fc7_fc8.py"),
            f"--config.weights={weights}",
            f"--config.train_data={train_data}",
            f"--config.image_root={image_root}",
            f"--config.num_classes={num_classes}",
            f"--config.cache_dir={cache_dir}",
            *("--config.val_data=", "--config.display_step=1"),
        ]
        if not Path(cache_dir).is_dir():
            _first_step([*command, f"--workdir={folder}/0"], f"{folder}/other")
        seconds = {
            name: [_first_step([*command, f"--workdir={folder}/{name}"], folder)]
            for name in ("cold", "warm")
        }
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "peak_memory_bytes": 1024 * usage.ru_maxrss}


def _first_step(command: list[str], cache: str) -> float:
    """Seconds until a command shows its first step; it is stopped then.

    Args:
      command: its words.
      cache: stands for the user's cache folder, where compiled programs are kept.

    Raises:
      RuntimeError: the command ended before; shows what it said.
    """
    env = os.environ | {"XDG_CACHE_HOME": cache}
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    start = time.perf_counter()
    said = b""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, bufsize=0
    ) as process:
        while block := process.stderr.read(4096):
            said += block
            if STEP_DONE in said:
                seconds = time.perf_counter() - start
                process.terminate()
                return seconds
    raise RuntimeError(f"the command ended without a step:\n{said.decode()[-2000:]}")
