"""Training in bfloat16 beside float32: bounds on loss, accuracy and predictions.

A bfloat16 number has 8 bits: rounding is off by up to 0.4 %, and by 0.2 % on average.
Over VGG16's 13 rounded layers that adds up to about sqrt(13) * 0.2 % = 0.7 % of an
activation; logits are float32 sums of thousands of these, whose errors cancel.
"""

import csv
import subprocess
import sys

import numpy as np
import pytest

from jaxart.models import MODELS
from jaxart.training.loop import train_and_evaluate
from tests import ROOT, events, runs

DATA = ROOT.parent / "shared/data"
PAINTINGS, CONVOLUTIONS = DATA / "paintings", DATA / "weights/vgg16_conv.npz"


def compare(config, folder, num_val):
    """Results of both, and how many predictions they share."""
    outcomes, predicted = {}, {}
    for dtype in ("float32", "bfloat16"):
        config.compute_dtype = dtype
        outcomes[dtype] = train_and_evaluate(config, folder / dtype)
        outcomes[dtype]["losses"] = np.array(
            list(events.read(folder / dtype)["train/loss"].values())
        )
        with open(folder / dtype / "predictions.csv") as file:
            predicted[dtype] = [row["predicted"] for row in csv.DictReader(file)]
        assert len(predicted[dtype]) == num_val
    shared = sum(map(str.__eq__, *predicted.values())) / num_val
    return *outcomes.values(), shared


def test_a_run_in_bfloat16_has_nearly_the_losses_of_float32(
    config, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    config.model = "tinynet"
    config.train_layers = ("conv5", "fc6", "fc7", "fc8")
    config.num_epochs = 3
    config.learning_rate = 1e-5  # inputs of up to 151 into random layers: losses of 100
    full, half, _ = compare(config, tmp_path, num_val=6)
    assert len(set(full["losses"])) == 12
    assert not np.array_equal(full["losses"], half["losses"])
    np.testing.assert_allclose(half["losses"], full["losses"], rtol=0.03)
    assert half["val_loss"] == pytest.approx(full["val_loss"], rel=0.03)


@pytest.mark.xdist_group("real_vgg16")
@pytest.mark.skipif(
    not (PAINTINGS.exists() and CONVOLUTIONS.exists()),
    reason=f"the paintings and the real VGG16 convolutions are not in {DATA}",
)
@pytest.mark.slow
def test_real_paintings_are_told_apart_as_well_in_bfloat16(config, tmp_path):
    weights = tmp_path / "vgg16.safetensors"
    subprocess.run(
        [
            *(sys.executable, "tools/convert_weights.py", "--model=vgg16"),
            *(f"--src={CONVOLUTIONS}", "--channel-order=bgr", f"--out={weights}"),
        ],
        cwd=ROOT,
        check=True,
    )
    for name, every in (("train", 45), ("test", 22)):
        lines = (PAINTINGS / f"{name}.txt").read_text().splitlines()[::every]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    config.train_data = str(tmp_path / "train.txt")
    config.val_data = str(tmp_path / "test.txt")
    config.image_root = str(PAINTINGS)
    config.num_classes = 10
    config.model, config.hidden, config.weights = "vgg16", (), str(weights)
    config.batch_size = 16
    config.num_epochs = config.checkpoint_every_epochs = 10  # no choice of the best
    config.learning_rate = 1e-6  # pool5 is long: more makes the loss jump
    config.momentum = 0.9
    full, half, shared = compare(config, tmp_path, num_val=31)
    assert full["losses"][-3:].mean() < 0.8 * full["losses"][:3].mean()  # it learns
    np.testing.assert_allclose(half["losses"], full["losses"], rtol=0.03)
    assert half["val_loss"] == pytest.approx(full["val_loss"], rel=0.02)
    assert abs(half["val_accuracy"] - full["val_accuracy"]) <= 2 / 31
    assert shared >= 0.9
