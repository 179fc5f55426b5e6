"""A run that nobody trained: its network, its predictions, its curves, its pictures."""

import json

import numpy as np
import pytest
import tensorboardX
from PIL import Image

from jaxart.data.predictions import write_predictions
from tests import runs

CLASSES = ("baroque", "cubism", "op <art>", "never")  # the last has no images
NUM_IMAGES = 240
MAX_STEP = 40


def make_run(workdir, seed=0, skill=1.0, temperature=4.0):
    """Predictions of some skill, on the same pictures whatever the seed."""
    labels = np.arange(NUM_IMAGES) % 3
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(NUM_IMAGES, 4))
    logits[:, 3] -= 2
    logits[np.arange(NUM_IMAGES), labels] += skill
    logits *= temperature
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = [f"{label}/{i}.png" for i, label in enumerate(labels)]
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    runs.write(workdir, model, runs.random_params(model, seed), CLASSES)
    write_predictions(
        workdir / "predictions.csv", names, labels, probabilities, CLASSES
    )
    pictures = workdir.parent / "pictures"
    config = json.loads((workdir / "config.json").read_text())
    config |= {"train_data": "train.txt", "val_data": str(pictures), "num_epochs": 4}
    (workdir / "config.json").write_text(json.dumps(config))
    result = {"temperature": temperature, "best_epoch": 3, "num_train": 2}
    result |= {
        "leaks": {"exact": 1, "near": 0, "grey": 0},
        "versions": {"jaxart": "9.9"},
    }
    (workdir / "result.json").write_text(json.dumps(result))
    (workdir / "skipped.csv").write_text("path,split,reason\na.png,val,cut short\n")
    (workdir / "leaks.csv").write_text(
        "val_path,train_path,kind,distance\n0/0.png,t.png,exact,0\n"
    )
    (workdir / "training_images.csv").write_text(
        "path,sha256,phash\nt.png,aa,\nu.png,aa,\n"
    )
    with tensorboardX.SummaryWriter(str(workdir)) as writer:
        for step in range(0, MAX_STEP + 1, 10):
            for side in ("train", "val"):
                writer.add_scalar(f"{side}/loss", 2 - step / 50, step)
                writer.add_scalar(f"{side}/accuracy", step / 80, step)
    rng = np.random.default_rng(0)
    for name in names:
        path = pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        blocks.resize((50, 40), Image.Resampling.NEAREST).save(path)
    return workdir


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def better(run):
    """Of the same validation images, and right on nearly all of them."""
    return make_run(run.with_name("better"), seed=1, skill=6.0, temperature=0.5)


@pytest.fixture
def browse(chromium):
    """Opens a page; nothing may go wrong in it, and no request leave it."""
    contexts, complaints, requests = [], [], []

    def browse(path, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield browse
    for context in contexts:
        context.close()
    assert not complaints
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert sum(url.startswith("file") for url in requests) == len(contexts)
