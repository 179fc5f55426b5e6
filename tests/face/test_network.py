"""A network that is asked: the commands' numbers, and what is no image."""

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import jaxart
from jaxart import storage
from jaxart.classifier import ClassifierError
from jaxart.data.images import ImageError
from jaxart.export import weight_files
from jaxart.face import programs
from jaxart.face.pictures import picture_of
from jaxart.saliency import catalogue
from jaxart.storage import StorageError
from tests.face.conftest import CLASSES


def test_importing_jaxart_does_not_import_jax():
    text = "import sys, jaxart; print({'jax', 'PIL', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", text], text=True) == "set()\n"


def test_the_face_is_listed_and_nothing_else():
    assert set(dir(jaxart)) == {*jaxart.__all__, "__version__"}
    assert all(getattr(jaxart, name) for name in jaxart.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'classify'"):
        jaxart.classify  # noqa: B018


@pytest.mark.parametrize("batch_size", [1, 4])
def test_probabilities_are_those_of_predict(
    network, tiny_run, folder, tmp_path, run_command, batch_size
):
    table = tmp_path / "table.jsonl"
    status, _, error = run_command(
        *("predict", f"--workdir={tiny_run}", f"--images={folder}", f"--out={table}"),
        *(f"--batch_size={batch_size}", "--features=conv5"),
    )
    assert status == 0, error
    rows = list(map(json.loads, table.read_text().splitlines()))
    paths = [folder / row["path"] for row in rows]
    predictions = network.predict(paths, batch_size=batch_size)
    for row, prediction in zip(rows, predictions, strict=True):
        said = [(top["name"], top["probability"]) for top in row["top"]]
        assert prediction.top(4) == said
        logits = {top["name"]: top["logit"] for top in row["top"]}
        assert dict(zip(CLASSES, prediction.logits.tolist(), strict=True)) == logits
    features = network.features(paths, "conv5", batch_size=batch_size)
    np.testing.assert_array_equal(features, np.load(tmp_path / "table.conv5.npy"))
    logits = network.logits(paths, batch_size=batch_size)
    np.testing.assert_array_equal(logits, [p.logits for p in predictions])


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("gradient", {}),
        ("grad_cam", {"layer": "pool1"}),
        ("smoothgrad", {"num_samples": 3}),
        ("integrated_gradients", {"num_steps": 2, "baseline": "black"}),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_maps_are_those_of_saliency(
    network, tiny_run, folder, tmp_path, run_command, method, settings, batch_size
):
    status, _, error = run_command(
        *("saliency", f"--workdir={tiny_run}", f"--images={folder}"),
        *(f"--out={tmp_path / 'out'}", "--save=npy,overlay,heatmap", "--target=owl"),
        *(f"--method={method}", "--seed=3", f"--batch_size={batch_size}"),
        *(f"--{name}={value}" for name, value in settings.items()),
    )
    assert status == 0, error
    paths = sorted(folder.iterdir())
    explanations = network.explain(
        paths, method, target="owl", seed=3, batch_size=batch_size, **settings
    )
    for path, explanation in zip(paths, explanations, strict=True):
        saved = tmp_path / "out" / "npy" / f"{path.name}.npy"
        np.testing.assert_array_equal(explanation.map, np.load(saved))
        drawn = Image.open(tmp_path / "out" / "heatmap" / f"{path.name}.png")
        assert drawn.tobytes() == explanation.heatmap().tobytes()
        encoded = io.BytesIO()
        explanation.overlay().save(encoded, format="JPEG", quality=90)
        drawn = tmp_path / "out" / "overlay" / f"{path.name}.jpg"
        assert drawn.read_bytes() == encoded.getvalue()


def test_an_image_may_be_given_in_any_way(network, picture):
    with Image.open(picture) as opened:
        opened.load()
    given = [picture, str(picture), opened, np.asarray(opened), opened.convert("RGBA")]
    alone = [network.logits(image) for image in given]
    np.testing.assert_array_equal(alone, [alone[0]] * len(given))
    together = network.logits(given)
    assert together.shape == (5, 4)
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert network.logits([]).shape[0] == 0
    assert network.predict([picture])[0].name == network.predict(picture).name


def test_a_pil_image_is_turned_as_its_exif_says(network, folder, tmp_path):
    with Image.open(folder / "1.png") as opened:
        exif = opened.getexif()
        exif[0x0112] = 6
        opened.save(tmp_path / "turned.png", exif=exif)
    turned = Image.open(tmp_path / "turned.png")
    wanted = network.logits(tmp_path / "turned.png")
    np.testing.assert_array_equal(network.logits(turned), wanted)
    assert (network.logits(folder / "1.png") != wanted).any()


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        (np.zeros((4, 4, 3)), ValueError, "array of float64: give pixels as they are"),
        (np.zeros((4, 4, 3), np.int64), ValueError, "array of int64"),
        (np.zeros((2, 4, 4, 3), np.uint8), ValueError, "list(array) is a list"),
        (np.zeros((3, 4, 4), np.uint8), ValueError, "array.transpose(1, 2, 0)"),
        (np.zeros((4, 4), np.uint8), ValueError, "PIL.Image.fromarray(array)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "pixels [0, 4, 3]"),
        ("missing.png", ImageError, "missing.png: No such file or directory"),
        ("https://a.org/b.png", StorageError, "of URLs, s3:// and gs:// can be used"),
        (Image.new("F", (4, 4)), ImageError, "floating-point pixels"),
    ],
)
def test_what_is_no_image_is_refused(network, picture, image, error, says):
    for ask in (network.predict, network.explain, network.features, network.logits):
        for given in (image, [picture, image]):
            with pytest.raises(error) as raised:
                ask(given)
            assert says in str(raised.value)


@pytest.mark.parametrize("image", [5, b"jpeg", None, {}])
def test_what_is_of_another_type_is_refused(image):
    says = f"{type(image).__name__}: an image is a path, a URL, a PIL image, a uint8 "
    with pytest.raises(TypeError, match=says):
        picture_of(image)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"method": "gradcam"}, "did you mean 'grad_cam'?"),
        ({"target": "owls"}, "no class is called 'owls': one of owl?"),
        ({"target": 4}, "class 4: the indices are 0 to 3"),
        ({"target": "owl", "against": 1}, "against='1' is the target itself"),
        ({"against": "dog"}, "no class is called 'dog'"),
        ({"score": "probability"}, "score='probability': one of logit, log_prob"),
        ({"score": "log_probability", "against": "owl"}, "leave score out"),
        ({"num_samples": 3}, "gradient has no setting num_samples"),
        ({"method": "grad_cam", "layer": "fc8"}, "layer='fc8': one with a place"),
        ({"method": "grad_cam", "channel_rule": "sum"}, "no channel_rule applies"),
        ({"channel_rule": "median"}, "channel_rule='median': one of max_abs"),
        ({"colormap": "vridis"}, "no such colour table. Did you mean viridis"),
        ({"method": "smoothgrad", "num_samples": 0}, "num_samples=0"),
    ],
)
def test_a_question_without_an_answer_is_refused(network, picture, how, says):
    with pytest.raises(ValueError) as raised:
        network.explain(picture, **how)
    assert says in str(raised.value)


def test_a_target_against_another_is_the_difference_of_both(network, picture):
    def explain(**how):
        return network.explain(picture, channel_rule="sum", **how)

    owl, fox = explain(target="owl"), explain(target="red fox")
    both = explain(target="owl", against="red fox")
    np.testing.assert_allclose(both.map, owl.map - fox.map, rtol=1e-4, atol=1e-7)
    assert both.score == pytest.approx(owl.score - fox.score, rel=1e-6)
    assert (both.target_name, both.against_name) == ("owl", "red fox")

    second, first = np.argsort(owl.prediction.logits)[-2:]
    best = explain(against="best_other")
    assert (best.target, best.against) == (first, second)
    other = explain(target=int(second), against="best_other")
    np.testing.assert_allclose(other.map, -best.map, rtol=1e-4, atol=1e-7)


def test_a_log_probability_is_explained(network, picture):
    def explain(**how):
        return network.explain(picture, channel_rule="sum", **how)

    maps = np.array([explain(target=index).map for index in range(4)])
    probabilities = network.predict(picture).probabilities
    wanted = maps[1] - np.tensordot(probabilities, maps, 1)
    asked = explain(target="owl", score="log_probability")
    np.testing.assert_allclose(asked.map, wanted, rtol=1e-4, atol=1e-7)
    assert asked.score == pytest.approx(np.log(probabilities[1]), rel=1e-5)


def test_other_pictures_and_classes_do_not_compile_again(network, folder):
    paths = sorted(folder.iterdir())
    programs.explaining.cache_clear()
    for path, target, against in zip(paths[:3], CLASSES, CLASSES[1:], strict=False):
        network.explain(path, "grad_cam", target=target, against=against)
    assert programs.explaining.cache_info().currsize == 1
    key = ("grad_cam", (("layer", "relu5"),), "", "logit", 0)
    step = programs.explaining(network.model, *key, 1)
    assert programs.explaining.cache_info().currsize == 1
    assert step._cache_size() == 1


def test_methods_are_listed_with_the_settings_of_this_network(network, picture):
    methods = network.methods()
    assert list(methods) == list(catalogue.METHODS)
    assert methods["grad_cam"] == {"layer": "relu5"}
    assert methods["smoothgrad"] == {"num_samples": 25, "noise_level": 0.15}
    first = network.explain(picture, "grad_cam")
    assert first.settings == methods["grad_cam"]


def test_the_image_of_a_class(network):
    drawn = network.class_model("owl", steps=3)
    assert drawn.picture.size == (16, 16)
    assert drawn.logit == network.class_model(1, steps=3).logit


def test_an_unknown_layer_is_refused(network, picture):
    with pytest.raises(ValueError, match="no layer 'fc7'; the layers are conv1, relu1"):
        network.features(picture)


def test_a_network_is_itself_and_travels_as_where_it_is_from(network, tiny_run):
    again = pickle.loads(pickle.dumps(network))
    assert type(again) is jaxart.TrainedNetwork
    assert repr(again) == repr(network) == f"<TinyNet of 4 classes from {tiny_run}>"
    assert network in [again, network] and network != again
    assert len({network, network, again}) == 2
    with pytest.raises(ClassifierError, match="from no file and no run"):
        pickle.dumps(network._replace(source=None))


def test_weights_images_and_results_are_in_an_object_store(
    network, picture, bucket, tmp_path
):
    weight_files.write_safetensors(tmp_path / "tiny.safetensors", network)
    for file in (tmp_path / "tiny.safetensors", picture):
        bucket.put(file.name, file.read_bytes())
    there = jaxart.load(f"{bucket.url}/tiny.safetensors")
    url = f"{bucket.url}/{picture.name}"
    np.testing.assert_array_equal(there.logits(url), network.logits(picture))
    explanation = there.explain(storage.path(url))
    explanation.save(f"{bucket.url}/map.npy")
    saved = np.load(io.BytesIO(bucket.get("map.npy")))
    np.testing.assert_array_equal(saved, network.explain(picture).map)
    with pytest.raises(ImageError, match=f"{bucket.url}/none.png: "):
        there.predict([url, f"{bucket.url}/none.png"])
