"""What every job does before it begins."""

import os
import subprocess
import sys

import pytest

from jaxart.cli import start
from jaxart.storage import StorageError

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


def test_compiled_programs_are_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "environ", {**os.environ})
    (tmp_path / "jaxart").mkdir()
    start.keep_compiled_programs()
    assert (tmp_path / "jaxart/xla").stat().st_mode & 0o777 == 0o700
    del os.environ["JAX_COMPILATION_CACHE_DIR"]
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StorageError, match="xla: belongs to the user"):
        start.keep_compiled_programs()


def test_a_cache_folder_that_cannot_be_made_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(os, "environ", {**os.environ})
    (tmp_path / "file").touch()
    start.keep_compiled_programs()
    folder = tmp_path / "file" / "jaxart" / "xla"  # JAX warns of it
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)
