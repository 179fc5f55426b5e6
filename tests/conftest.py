"""What several test files share: a folder of small paintings and a small experiment."""

import logging
import os
import shutil
import subprocess
import tempfile

import jax
import pytest
from PIL import Image

from jaxart.__main__ import main
from jaxart.cli import start
from jaxart.data import procedural
from jaxart.models import MODELS
from jaxart.training.config import base_config
from tests import object_store, runs

STYLES = ("color_fields", "op_stripes", "ruled_grid")

CACHE = "JAX_COMPILATION_CACHE_DIR"

MODELS["tinynet"] = runs.TinyNet


def pytest_configure(config):
    """What one worker or process compiles, the others need not: compiling is slow."""
    if CACHE not in os.environ:
        os.environ[CACHE] = config.compilation_cache = tempfile.mkdtemp()
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"


def pytest_unconfigure(config):
    """Removes it, where the tests began."""
    if hasattr(config, "compilation_cache"):
        shutil.rmtree(config.compilation_cache)


@pytest.fixture(scope="session")
def paintings(tmp_path_factory):
    """Class folders: 3 styles of 7 pictures, 64 x 64."""
    folder = tmp_path_factory.mktemp("paintings")
    for style in STYLES:
        (folder / style).mkdir()
        for i in range(7):
            picture = Image.fromarray(procedural.paint(style, i, 64))
            picture.save(folder / style / f"{i}.png")
    return folder


@pytest.fixture
def config(paintings, tmp_path):
    """A tiny network with narrow fc6 and fc7; 15 training images, 6 validation."""
    config = base_config()
    config.model = "tinynet"
    config.hidden = (16, 16)
    config.num_classes = 3
    config.learning_rate = 0.01
    config.num_epochs = 2
    config.batch_size = 4  # so that the last of an epoch's 4 batches holds 3
    config.display_step = 1
    config.train_data = str(paintings)
    config.val_fraction = 2 / 7
    config.cache_dir = str(tmp_path / "cache")
    config.writer = "tensorboardx"
    return config


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs a superuser who may")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def chromium():
    """A browser, where there is one."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("needs Chromium or Chrome")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A client of an object store that `s3://` leads to while tests run."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        object_store.running(monkeypatch) as client,
    ):
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))  # for copies of objects
        yield client


@pytest.fixture
def bucket(s3):
    """An empty bucket."""
    return object_store.Bucket(s3)


@pytest.fixture
def quick_compiles():
    """For tests of small functions, which compile longer than they run."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Runs a job in this process: (status, stdout, stderr)."""
    monkeypatch.setattr(start, "set_up", logging.getLogger)
    for logger in (logging.getLogger(), logging.getLogger("jaxart")):
        for handler in logger.handlers[:]:  # to what an earlier test captured
            if getattr(getattr(handler, "stream", None), "closed", False):
                logger.removeHandler(handler)

    def run(*words):
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return run
