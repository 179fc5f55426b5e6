"""What every job does before it begins."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
from jaxart.cli import start
start.set_up()
import jax
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
jax.jit(lambda x: jax.lax.fori_loop(0, 9, lambda i, y: jax.numpy.sin(y) + i, x))(1.0)
"""


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"])
def test_compiled_programs_are_kept(tmp_path, variable):
    """In the user's cache folder, or where JAX's own variable says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {variable: str(tmp_path), "JAX_PLATFORMS": "cpu"}
    for _ in range(2):  # the second finds what the first has left
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
        folder = tmp_path / "jaxart/xla" if variable == "XDG_CACHE_HOME" else tmp_path
        kept = [path for path in folder.iterdir() if path.name.endswith("-cache")]
        assert kept
