"""Predictions, explanations and grids: what they show, and what they write."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

import jaxart
from jaxart.predict.tables import FormatError
from tests.face.conftest import CLASSES


def about(path):
    """Size and format of an image file."""
    with Image.open(path) as image:
        return image.size, image.format


def test_a_prediction_says_what_it_is(network, picture):
    prediction = network.predict(picture)
    order = np.argsort(-prediction.probabilities)
    wanted = [(CLASSES[i], float(prediction.probabilities[i])) for i in order]
    assert prediction.top(4) == wanted and prediction.top(1) == wanted[:1]
    assert (prediction.name, prediction.probability) == wanted[0]
    assert prediction.probabilities.sum() == pytest.approx(1)
    text = ", ".join(f"{name} {value:.1%}" for name, value in wanted[:3])
    assert repr(prediction) == f"Prediction({text})"
    page = prediction._repr_html_()
    assert page.count("<tr>") == 4 and page.count("data:image/png;base64,") == 1


def test_names_are_escaped(network, picture):
    named = network._replace(class_names=("<script>", "&", "b", "c"))
    for shown in (named.predict(picture), named.explain(picture, target=0)):
        page = shown._repr_html_()
        assert "<script>" not in page and "&lt;script&gt;" in page


def test_an_explanation_shows_picture_map_and_scale(network, picture):
    explanation = network.explain(picture, "integrated_gradients", num_steps=2)
    low, high = explanation.range
    assert -low == high == np.percentile(np.abs(explanation.map), 99)
    page = explanation._repr_html_()
    assert page.count("<img ") == 2 and f"<span>{high:.3g}</span>" in page
    assert explanation.describe() in page
    assert network.explain(picture).range[0] == 0
    shown = Image.open(io.BytesIO(explanation._repr_png_()))
    assert shown.format == "PNG" and shown.width > 2 * shown.height
    score = f"{explanation.prediction.logits.max():.4g}"
    name = explanation.prediction.name
    assert repr(explanation) == (
        f"Explanation(integrated_gradients of {name}, score {score}, map [16, 16])"
    )


@pytest.mark.parametrize("name", ["Łódź Ελληνικά", "العربية", "हिन्दी", 12 * "浮世絵"])
def test_titles_are_drawn_in_any_script_and_stay_inside(network, picture, name):
    named = network._replace(class_names=(name, "b", "c", "d"))
    explanation = named.explain(picture, target=0)
    pixels = np.asarray(Image.open(io.BytesIO(explanation._repr_png_())))
    assert (pixels[:, [0, 1, -2, -1], :3] == 255).all()


def test_pictures_have_the_size_of_what_was_given(network, folder):
    for path in sorted(folder.iterdir()):
        explanation = network.explain(path, "grad_cam")
        size, _ = about(path)
        assert explanation.heatmap().size == explanation.overlay().size == size


def test_explanations_are_written(network, picture, tmp_path):
    explanation = network.explain(picture)
    for name in ("map.npy", "new/over.png", "over.JPG"):
        explanation.save(tmp_path / name)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), explanation.map)
    over = np.asarray(Image.open(tmp_path / "new" / "over.png"))
    np.testing.assert_array_equal(over, explanation.overlay())
    assert about(tmp_path / "over.JPG")[1] == "JPEG"
    with pytest.raises(ValueError, match=r"map.txt: .npy, .png or .jpg"):
        explanation.save(tmp_path / "map.txt")


def test_predictions_are_written_as_a_table(network, picture, tmp_path):
    prediction = network.predict(picture)
    prediction.save(tmp_path / "one.csv")
    (row,) = csv.DictReader((tmp_path / "one.csv").read_text().splitlines())
    assert (row["path"], row["predicted"]) == (str(picture), prediction.name)
    assert [float(row[name]) for name in CLASSES] == pytest.approx(
        prediction.probabilities.tolist()
    )
    with pytest.raises(FormatError):
        prediction.save(tmp_path / "one.txt")


def test_methods_and_targets_make_a_grid(network, picture, tmp_path):
    grid = jaxart.compare(
        network,
        picture,
        methods=["gradient", "smoothgrad"],
        targets=["predicted", "sphynx", 0],
        num_samples=2,
    )
    assert [[one.method for one in row] for row in grid.rows] == [
        ["gradient"] * 3,
        ["smoothgrad"] * 3,
    ]
    assert [one.target for one in grid[1]] == [grid[0][0].prediction.index, 3, 0]
    np.testing.assert_array_equal(
        grid[1][2].map,
        network.explain(picture, "smoothgrad", target=0, num_samples=2).map,
    )
    assert repr(grid).count("\n") == 1 and repr(grid).count(" | ") == 4
    grid.save(tmp_path / "grid.png")
    assert about(tmp_path / "grid.png")[0][0] > 1000
    with pytest.raises(ValueError, match=r"a .png file"):
        grid.save(tmp_path / "grid.pdf")


def test_networks_are_compared(network, picture):
    other = network._replace(class_names=("a", "b", "c", "d"))
    grid = jaxart.compare([network, other], picture, targets=[1])
    assert [row[0].target_name for row in grid.rows] == ["owl", "b"]


def test_a_setting_that_no_method_has_is_refused(network, picture):
    with pytest.raises(ValueError, match="none of gradient, occlusion has a setting"):
        jaxart.compare(
            network, picture, methods=["gradient", "occlusion"], num_samples=3
        )
    with pytest.raises(ValueError, match="gradient has no setting number"):
        jaxart.compare(network, picture, number=3)
