"""A tiny network, trained on a folder of small paintings."""

import pytest

import jaxart
from jaxart.training.config import base_config


@pytest.fixture(scope="session")
def trained(tmp_path_factory, paintings):
    """(the run's folder, its cache)."""
    place = tmp_path_factory.mktemp("app")
    config = base_config()
    config.model, config.hidden, config.train_layers = "tinynet", (), ("fc8",)
    config.batch_size, config.num_epochs, config.learning_rate = 4, 2, 1e-4
    config.train_data, config.val_fraction = str(paintings), 2 / 7
    config.cache_dir = str(place / "cache")
    config.resize = "antialias"
    jaxart.train(config, place / "run")
    return place / "run", place / "cache"
