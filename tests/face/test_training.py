"""Fine-tuning from Python."""

import json

import numpy as np
import pytest

import jaxart


def test_a_run_gives_its_result_and_network(config, tmp_path, paintings):
    run = jaxart.train(config, tmp_path / "run", num_epochs=1, train_layers=["fc8"])
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert run.result["val_accuracy"] == written["val_accuracy"]
    assert (written["epochs"], config.num_epochs) == (1, 2)
    assert repr(run).startswith(f"<run in {tmp_path / 'run'}: validation accuracy 0.")
    assert run.network.class_names == ("color_fields", "op_stripes", "ruled_grid")
    image = next((paintings / "op_stripes").iterdir())
    logits = jaxart.load(tmp_path / "run").logits(image)
    np.testing.assert_array_equal(run.network.logits(image), logits)


def test_a_config_of_your_own(tmp_path, paintings):
    file = tmp_path / "mine.py"
    file.write_text(
        "from jaxart.training.config import base_config\n"
        "def get_config():\n"
        "    config = base_config()\n"
        "    config.model, config.hidden = 'tinynet', ()\n"
        "    config.batch_size, config.num_epochs = 4, 1\n"
        "    config.train_layers = ('fc8',)\n"
        "    return config\n"
    )
    run = jaxart.train(
        file,
        tmp_path / "run",
        train_data=str(paintings),
        cache_dir=str(tmp_path / "cache"),
    )
    assert run.result["num_train"] + run.result["num_val"] == 21


@pytest.mark.parametrize(
    ("config", "overrides", "says"),
    [
        ("dmo", {}, "config=dmo: no such file, and none of"),
        ("demo", {"epochs": 3}, "unknown config field 'epochs'; did you mean"),
        ("demo", {"resize": "bicubic"}, "resize='bicubic': one of"),
        ("fc8", {"train_data": ""}, "train_data is empty"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, config, overrides, says):
    with pytest.raises(ValueError) as raised:
        jaxart.train(config, tmp_path / "run", **overrides)
    assert says in str(raised.value)


def test_a_file_without_a_config_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match=r"empty.py has no get_config\(\)"):
        jaxart.train(tmp_path / "empty.py", tmp_path / "run")
