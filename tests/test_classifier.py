"""Classifiers from weight files and from runs; what their logits are called."""

import json
import pickle
import re
import shutil

import jax
import numpy as np
import pytest

from jaxart import classifier
from jaxart.classifier import Classifier, ClassifierError
from jaxart.export import weight_files
from jaxart.models import AlexNet, CaffeNet, imagenet
from jaxart.weights import WeightsError, canonical
from tests import ROOT, runs

CLASSES = ("red fox", "owl", "Teddy")
METADATA = {
    "model": "alexnet",
    "source": "made.npy",
    "source_sha256": "0" * 64,
    "source_channel_order": "bgr",
    "mean": "[103.939, 116.779, 123.68]",
    "size": "227",
    "resize": "",
    "class_names": "[]",
    "lrn_alpha": "0.0005",
}


def assert_trees_equal(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


# --- From a run -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def alexnet():
    return runs.small_alexnet(lrn_alpha=5e-4)


@pytest.fixture(scope="module")
def workdir(alexnet, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    runs.write(workdir, *alexnet, CLASSES, "crop")
    return workdir


def test_a_run_gives_back_its_numbers_and_its_facts(alexnet, workdir):
    found = classifier.from_run(workdir)
    model, params = alexnet
    assert found.model == model
    assert found.model.lrn_alpha == 5e-4
    assert (found.model.hidden, found.model.num_classes) == ((), 3)
    assert found.class_names == CLASSES
    assert found.resize == "crop"
    assert_trees_equal(found.params, params)


def test_a_run_and_a_weight_file_are_loaded(alexnet, workdir, tmp_path):
    network = classifier.load(str(workdir))
    file = tmp_path / "a.safetensors"
    weight_files.write_safetensors(file, network)
    for loaded in (network, classifier.load(file), pickle.loads(pickle.dumps(network))):
        assert loaded.class_names == CLASSES and loaded.resize == "crop"
        assert_trees_equal(loaded.params, alexnet[1])


@pytest.mark.parametrize("order", ["norm_pool", "pool_norm"])
def test_what_was_written_when_caffenet_was_an_alexnet(
    alexnet, workdir, tmp_path, order
):
    """Of a run and of a weight file, to the bit."""
    _, params = alexnet
    kind = {"norm_pool": AlexNet, "pool_norm": CaffeNet}[order]
    wanted = kind(num_classes=3, hidden=(), lrn_alpha=5e-4)
    shutil.copytree(workdir, tmp_path / "run")
    config = json.loads((workdir / "config.json").read_text())
    config["network"]["norm_order"] = order
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    path = write_weights(tmp_path / "a", params, METADATA | {"norm_order": order})
    for found in (
        classifier.from_run(tmp_path / "run"),
        classifier.from_weights(path),
    ):
        assert found.model == wanted
        assert_trees_equal(found.params, params)


def test_the_best_epoch_counts_not_the_last(alexnet, workdir, tmp_path):
    model, params = alexnet
    shutil.copytree(workdir, tmp_path / "run")  # accuracy 0.5
    last = params | {"fc8": jax.tree.map(lambda x: x + 1, params["fc8"])}
    runs.write(tmp_path / "run", model, last, CLASSES, step=2, accuracy=0.4)
    assert_trees_equal(classifier.from_run(tmp_path / "run").params, params)
    runs.write(tmp_path / "run", model, last, CLASSES, step=3, accuracy=0.6)
    assert_trees_equal(classifier.from_run(tmp_path / "run").params, last)


def test_what_is_no_run_is_an_error_and_is_left_as_it_is(workdir, tmp_path):
    message = "no run of `jaxart train` (config.json is missing)"
    for folder in (tmp_path / "none", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with pytest.raises(ClassifierError) as error:
            classifier.from_run(folder)
        assert str(error.value) == f"{folder}: {message}"
    assert not (tmp_path / "none").exists()

    shutil.copy(workdir / "config.json", tmp_path / "empty")
    with pytest.raises(ClassifierError) as error:
        classifier.from_run(tmp_path / "empty")
    assert str(error.value) == (
        f"{tmp_path / 'empty'}: the run has no checkpoint yet; the same command of "
        "`jaxart train` goes on with it"
    )


# --- From a weight file ---------------------------------------------------------------


def write_weights(path, params, metadata=METADATA):
    canonical.write(path, jax.tree.map(np.asarray, params), metadata)
    return path


@pytest.mark.parametrize(
    ("hidden", "num_classes", "last_name"),
    [((), 7, "6"), ((4,), 7, "6"), ((4, 5), 1000, "999")],
)
def test_a_weight_file_becomes_the_network_that_it_is_of(
    tmp_path, hidden, num_classes, last_name
):
    model, params = runs.small_alexnet(
        hidden=hidden, num_classes=num_classes, lrn_alpha=5e-4
    )
    found = classifier.from_weights(write_weights(tmp_path / "a", params))
    assert found.model == model
    assert found.resize == ""
    assert len(found.class_names) == num_classes
    assert found.class_names[-1] == last_name
    assert_trees_equal(found.params, params)
    if hidden == (4,):
        images = 100 * jax.random.normal(jax.random.key(0), (1, 227, 227, 3))
        wanted = jax.jit(model.apply)({"params": params}, images)
        logits = jax.jit(found.model.apply)({"params": found.params}, images)
        assert np.ptp(wanted) > 1
        np.testing.assert_array_equal(logits, wanted)


@pytest.mark.parametrize("model", ["alexnet", "caffenet", "vgg16", "vgg19"])
def test_convolutions_alone_are_told_how_to_get_a_head(tmp_path, model):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.safetensors"
    layer = {"kernel": rng.normal(size=(3, 3, 3, 4)), "bias": rng.normal(size=4)}
    canonical.write(path, {"conv1": layer}, METADATA | {"model": model})
    with pytest.raises(ClassifierError) as error:
        classifier.from_weights(path)
    text = str(error.value)
    assert text.startswith(f"{path} has no fc8: it tells no classes apart.")
    assert "jaxart train --config=" in text
    assert f"--config.weights={path}" in text
    name = re.search(r"--config=(\w+)", text)[1]
    scope = {}
    exec((ROOT / f"configs/{name}.py").read_text(), scope)
    values = scope["get_config"]()
    assert values.hidden == ()
    assert f"--config.model={model} " in text


def test_other_files_say_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: no such weight file"):
        classifier.from_weights(tmp_path / "none")
    (tmp_path / "text").write_text("weights")
    with pytest.raises(WeightsError, match="text.*jaxart convert"):
        classifier.from_weights(tmp_path / "text")
    _, params = runs.small_alexnet(hidden=(4, 5))
    for missing in ("conv3", "fc6"):
        rest = {name: params[name] for name in params if name != missing}
        path = write_weights(tmp_path / missing, rest)
        with pytest.raises(WeightsError, match=f"layers {missing} are missing"):
            classifier.from_weights(path)


# --- Classes --------------------------------------------------------------------------


def of(names):
    return Classifier(None, None, tuple(names), "")


@pytest.fixture(scope="module")
def imagenet_classifier(tmp_path_factory):
    """ImageNet's names, by way of a file whose head has 1000 classes."""
    _, params = runs.small_alexnet(hidden=(2, 2), num_classes=1000)
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    names = json.dumps(imagenet.class_names())
    path = write_weights(path, params, METADATA | {"class_names": names})
    return classifier.from_weights(path)


def test_a_weight_file_says_its_classes_and_its_resize_rule(tmp_path):
    _, params = runs.small_alexnet()
    facts = {"class_names": json.dumps(CLASSES), "resize": "crop"}
    path = write_weights(tmp_path / "a", params, METADATA | facts)
    found = classifier.from_weights(path)
    assert (found.class_names, found.resize) == (CLASSES, "crop")
    write_weights(path, params, METADATA | {"class_names": '["a", "b"]'})
    with pytest.raises(WeightsError, match="names 2 classes for 3 logits"):
        classifier.from_weights(path)
    write_weights(path, params, METADATA | {"resize": "stretch"})
    with pytest.raises(WeightsError, match="unknown resize rule: 'stretch'"):
        classifier.from_weights(path)


def test_imagenets_names_are_in_caffes_order_and_none_comes_twice(imagenet_classifier):
    names = imagenet_classifier.class_names
    assert len(set(names)) == 1000
    assert {i: names[i] for i in (0, 130, 236, 281, 285, 850, 999)} == {
        0: "tench",
        130: "flamingo",
        236: "Doberman",
        281: "tabby",
        285: "Egyptian cat",
        850: "teddy",
        999: "toilet tissue",
    }
    # The bird and the machine; the two bathing suits.
    assert names[134] == "crane (n02012849)" and names[517] == "crane (n03126707)"
    assert [name for name in names if "(" in name] == [
        "crane (n02012849)",
        "crane (n03126707)",
        "maillot (n03710637)",
        "maillot (n03710721)",
    ]
    for i, name in enumerate(names):
        assert (
            imagenet_classifier.class_index(name)
            == imagenet_classifier.class_index(str(i))
            == i
        )


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("flamingo", 130),
        ("FLAMINGO", 130),
        ("doberman", 236),
        ("egyptian CAT", 285),
        ("Crane (N03126707)", 517),
        ("0", 0),
        ("0999", 999),
    ],
)
def test_a_class_has_an_index_and_a_name_in_any_case(imagenet_classifier, label, index):
    assert imagenet_classifier.class_index(label) == index


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("1000", "class 1000: the indices are 0 to 999"),
        ("-1", "class -1: the indices are 0 to 999"),
        ("flaminco", "no class is called 'flaminco': one of flamingo?"),
        ("xyzxyz", "no class is called 'xyzxyz'"),
        ("", "no class is called ''"),
    ],
)
def test_no_such_class(imagenet_classifier, label, message):
    with pytest.raises(ClassifierError) as error:
        imagenet_classifier.class_index(label)
    assert str(error.value) == message


@pytest.mark.parametrize("label", ["crane", "Crane"])
def test_a_name_of_two_classes_names_both(imagenet_classifier, label):
    with pytest.raises(ClassifierError) as error:
        imagenet_classifier.class_index(label)
    assert str(error.value).startswith(f"no class is called {label!r}: one of ")
    for choice in ("crane (n02012849)", "crane (n03126707)"):
        assert choice in str(error.value)


def test_few_classes_are_all_named():
    with pytest.raises(ClassifierError, match="'zzz': one of red fox, owl, Teddy?"):
        of(CLASSES).class_index("zzz")
    assert of(CLASSES).class_index("teddy") == 2


def test_a_name_of_digits_is_a_name_before_it_is_an_index():
    years = of(["1900", "1", "0"])
    assert [years.class_index(name) for name in ("1900", "1", "0", "2")] == [0, 1, 2, 2]


def test_names_that_differ_in_case_alone_are_told_apart(imagenet_classifier):
    assert imagenet_classifier.class_index("Cardigan") == 264  # the corgi
    assert imagenet_classifier.class_index("cardigan") == 474  # the sweater
    with pytest.raises(ClassifierError) as error:
        imagenet_classifier.class_index("CARDIGAN")
    assert "Cardigan, cardigan" in str(error.value)


def test_the_names_lie_in_the_package():
    listing = ROOT / "jaxart/models/imagenet_synsets.txt"
    lines = listing.read_text("utf-8").splitlines()
    assert len(lines) == 1000
    assert all(re.fullmatch(r"n\d{8} \S.*\S", line) for line in lines)
    assert [line[:9] for line in lines] == sorted(line[:9] for line in lines)
