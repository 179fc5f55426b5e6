import hashlib
import json

import huggingface_hub
import jax
import numpy as np
import pytest
from huggingface_hub import constants
from sklearn import metrics

from jaxart import __main__ as jobs
from jaxart import classifier, storage
from tests import runs, servers
from tests.hub.server import Hub

# huggingface_hub 2.4.0 itself uploads with an argument that httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use .content=:DeprecationWarning")

CLASSES = ["bark", "moss", "rust"]


@pytest.fixture
def run(tmp_path):
    workdir = tmp_path / "secret_place" / "run"
    runs.write(workdir, *runs.small_alexnet(), CLASSES)
    config = json.loads((workdir / "config.json").read_text())
    private = str(tmp_path / "secret_place" / "paintings")
    config |= {"train_data": private, "val_data": "", "image_root": private}
    config |= {"weights": private + "/w.safetensors", "cache_dir": private}
    (workdir / "config.json").write_text(json.dumps(config))
    rows = "a,bark,bark,.7,.2,.1\nb,bark,moss,.2,.5,.3\nc,rust,rust,.1,.2,.7\n"
    table = "path,label,predicted,bark,moss,rust\n" + rows
    (workdir / "predictions.csv").write_text(table)
    result = {"val_accuracy": 2 / 3, "val_accuracy_ci95": [0.2077, 0.9385]}
    result |= {"num_train": 7, "num_val": 3, "num_skipped": 1}
    (workdir / "result.json").write_text(json.dumps(result))
    return workdir


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with servers.running(Hub(), monkeypatch) as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield server


def push(run, *flags):
    return jobs.main(["push", str(run), "me/net", *flags])


def test_what_is_pushed_loads_with_the_same_bits(run, hub, capfd, monkeypatch):
    assert push(run) == 0, capfd.readouterr().err
    assert f"{hub.url}/me/net/commit/{1:040x}" in capfd.readouterr().out
    loaded, own = classifier.load("hf://me/net"), classifier.load(run)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, own.params)
    assert loaded.class_names == own.class_names == tuple(CLASSES)
    assert loaded.resize == own.resize
    assert push(run) == 0
    assert len(hub.commits["me/net"]) == 2
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert classifier.load(f"hf://me/net@{1:040x}").class_names == tuple(CLASSES)
    assert len(hub.requests) == asked


def test_a_file_that_is_not_what_the_hub_recorded_is_refused(run, hub, capfd):
    assert push(run) == 0, capfd.readouterr().err
    ((digest, content),) = hub.blobs.items()
    hub.blobs[digest] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(storage.StorageError, match="damaged: its SHA-256 is"):
        classifier.load("hf://me/net")


@pytest.mark.parametrize("repo", ["me/missing", "me/private"])
def test_what_cannot_be_read_is_one_line(hub, repo):
    with pytest.raises(storage.StorageError, match=f"^hf://{repo}: .*Error: .*") as e:
        classifier.load(f"hf://{repo}")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hf://me", "must be hf://OWNER/NAME"),
        ("hf://me/net/weights.bin", "only .safetensors files"),
    ],
)
def test_what_is_no_weight_file_on_the_hub_is_refused(text, reason):
    with pytest.raises(storage.StorageError, match=reason):
        storage.weights_path(text)


def test_nothing_else_is_at_an_address_of_the_hub():
    with pytest.raises(storage.StorageError, match="`jaxart push` writes there"):
        storage.path("hf://me/net")


def test_a_dry_run_sends_nothing_and_tells_nothing_of_the_machine(
    run, hub, tmp_path, capfd
):
    folder = tmp_path / "card"
    assert push(run, f"--dry_run={folder}") == 0
    assert str(folder) in capfd.readouterr().out
    assert not hub.requests
    for file in folder.iterdir():
        assert b"secret_place" not in file.read_bytes(), file
        assert str(tmp_path).encode() not in file.read_bytes(), file
    assert json.loads((folder / "config.json").read_text())["train_data"] == "paintings"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    sums = (folder / "SHA256SUMS").read_text()
    assert sums == f"{digest}  model.safetensors\n"
    assert push(run, f"--dry_run={folder}") == 1
    assert "is there already" in capfd.readouterr().err


def test_the_card_says_what_the_run_says(run, tmp_path):
    folder = tmp_path / "card"
    assert push(run, f"--dry_run={folder}", "--license=mit") == 0
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    fields = vars(card.data)
    assert (fields["license"], fields["library_name"]) == ("mit", "jaxart")
    (metric,) = fields["eval_results"]
    assert metric.metric_value == 2 / 3
    assert "**0.6667** (95 % interval 0.2077 to 0.9385)" in card.text
    assert "most frequent class gives 0.6667" in card.text
    labels, predicted = ["bark", "bark", "rust"], ["bark", "moss", "rust"]
    for name, row in zip(
        CLASSES, metrics.confusion_matrix(labels, predicted), strict=True
    ):
        assert f"| {name} | {' | '.join(map(str, row))} |" in card.text


def test_a_run_that_is_not_finished_is_refused(run, tmp_path, capfd):
    (run / "result.json").unlink()
    assert push(run, f"--dry_run={tmp_path / 'card'}") == 1
    assert "no finished run (result.json is missing)" in capfd.readouterr().err
