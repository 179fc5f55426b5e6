"""The explorer in a real browser: what people do, and what nobody should."""

import base64
import gc
import io
import json
import os
import urllib.error
import urllib.parse
import urllib.request
import warnings

import numpy as np
import pytest
from PIL import Image

import jaxart
from jaxart.app import serving

# Gradio and what it is made of warn of one another.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.xdist_group("app"),
]

WAIT_MS = 60_000


@pytest.fixture(scope="module")
def network(trained):
    return jaxart.load(trained[0])


@pytest.fixture(scope="module")
def served(trained, network):
    """The address of an explorer of two networks."""
    pytest.importorskip("gradio", reason="needs gradio")
    networks = {"run": network, "other": network._replace(class_names=("a", "b", "c"))}
    with serving.serve(networks) as page:
        yield page.local_url.rstrip("/")
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # what Gradio leaves open is not the next test's fault


@pytest.fixture
def requests():
    """The addresses that the page asks for."""
    return []


@pytest.fixture
def page(chromium, served, requests):
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(served)
    page.wait_for_selector("#picture input[type=file]", state="attached")
    yield page
    context.close()
    own = [url for url in requests if not url.startswith(("data:", "blob:"))]
    assert own and all(url.startswith(served) for url in own)


@pytest.fixture
def picture(paintings):
    return next((paintings / "op_stripes").iterdir())


def choose(page, file):
    page.set_input_files("#picture input[type=file]", str(file))


def select(page, label, value):
    """Chooses an entry of a dropdown, by the keyboard."""
    box = page.get_by_role("tabpanel").get_by_label(label, exact=True).first
    box.click()
    box.fill(value)
    box.press("Enter")


def says(page, text):
    """Waits until the map's caption says this."""
    page.wait_for_function(
        "text => document.querySelector('#shown figcaption')?.innerText == text",
        arg=text,
    )


def pixels(page, selector):
    """What a picture of the page shows."""
    url = page.get_attribute(selector, "src")
    content = base64.b64decode(url.partition(",")[2])
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB"))


def downloaded(page, name):
    """A file that is offered, once the files of the map that is shown are."""
    page.wait_for_selector(f"#files a[href$='{name}']")
    page.wait_for_timeout(1000)
    links = page.locator("#files a").all()
    urls = [link.get_attribute("href") or "" for link in links]
    with urllib.request.urlopen(next(u for u in urls if u.endswith(name))) as response:
        return response.read()


def test_methods_are_switched_and_maps_are_the_apis(page, network, picture):
    choose(page, picture)
    wanted = network.explain(picture, "grad_cam")
    says(page, wanted.describe())
    heat = np.asarray(wanted.heatmap().convert("RGB"))
    np.testing.assert_array_equal(pixels(page, "#shown img.map"), heat)
    saved = np.load(io.BytesIO(downloaded(page, "map.npy")))
    np.testing.assert_array_equal(saved, wanted.map)

    select(page, "Method", "integrated_gradients")
    select(page, "Explained class", "ruled_grid")
    select(page, "Against", "color_fields")
    wanted = network.explain(
        picture, "integrated_gradients", target="ruled_grid", against="color_fields"
    )
    says(page, wanted.describe())
    heat = np.asarray(wanted.heatmap().convert("RGB"))
    np.testing.assert_array_equal(pixels(page, "#shown img.map"), heat)
    saved = np.load(io.BytesIO(downloaded(page, "map.npy")))
    np.testing.assert_array_equal(saved, wanted.map)
    best = wanted.prediction.name
    assert best in page.get_by_role("tabpanel").inner_text()

    opacity = "getComputedStyle(document.querySelector('#shown .map')).opacity"
    slider = page.get_by_label("opacity of the map").first
    slider.focus()
    slider.press("Home")
    assert page.evaluate(opacity) == "0"
    slider.press("End")
    assert page.evaluate(opacity) == "1"


def test_two_maps_are_beside_each_other(page, network, picture):
    choose(page, picture)
    page.get_by_role("tab", name="Side by side").click()
    for side, method in (("left", "grad_cam"), ("right", "gradient")):
        page.wait_for_selector(f"#{side}-shown img.map")
        wanted = network.explain(picture, method).heatmap().convert("RGB")
        shown = pixels(page, f"#{side}-shown img.map")
        np.testing.assert_array_equal(shown, np.asarray(wanted))


def test_painting_over_changes_the_prediction(page, picture):
    choose(page, picture)
    page.wait_for_selector("#shown .viewer")
    page.get_by_role("tab", name="Paint over").click()
    page.wait_for_function(
        "document.querySelector('#changes').innerText.includes('op_stripes')"
    )
    assert page.locator("#changes").inner_text().count("+0.0%") == 3
    box = page.locator("#editor canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 120, y - 120)
    page.mouse.down()
    for i in range(24):
        page.mouse.move(x - 120 + 10 * i, y + (120 if i % 2 else -120), steps=2)
    page.mouse.up()
    page.wait_for_function(
        "document.querySelector('#changes').innerText.split('+0.0%').length < 3"
    )
    assert "-" in page.locator("#changes").inner_text()


def test_training_images_that_are_alike_are_found(page, picture):
    choose(page, picture)
    page.get_by_role("tab", name="Alike").click()
    page.click("#find")
    page.wait_for_selector("#alike img")
    captions = page.locator("#alike .caption-label").all_inner_texts()
    assert len(captions) == 12 and captions[0].strip() == "op_stripes, 1.00"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("text.jpg", b"no picture", "not an image that Pillow reads"),
        ("empty.png", b"", "the file is empty"),
        (
            "draw.eps",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "Ghostscript",
        ),
        ("huge.png", None, "20,000 x 10,000 pixels of PNG take"),
    ],
)
def test_a_wrong_upload_gets_a_sentence(page, tmp_path, name, content, sentence):
    if content is None:  # 200 megapixels, in a file of 30 kB
        Image.new("1", (20_000, 10_000)).save(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    choose(page, tmp_path / name)
    toast = page.get_by_test_id("toast-body").first
    toast.wait_for()
    assert sentence in toast.inner_text()
    assert "Traceback" not in page.content()


def test_a_phone_shows_it_without_scrolling_sideways(chromium, served, picture):
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(served)
    choose(page, picture)
    page.wait_for_selector("#shown .viewer", timeout=WAIT_MS)
    for tab in ("Explain", "Side by side", "Paint over", "Alike"):
        if page.get_by_role("tab", name=tab).is_visible():
            page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, tab
    context.close()


@pytest.mark.parametrize("prefix", ["file=", "file/", "proxy=file://", "stream/"])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "{run}/config.json",
        "{run}/predictions.csv",
        "jaxart/__init__.py",
    ],
)
def test_no_other_file_is_served(served, trained, prefix, path):
    path = path.replace("{run}", str(trained[0]))
    for root in ("gradio_api/", ""):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{served}/{root}{prefix}{path}", timeout=10)
        refused.value.close()
        assert refused.value.code in (400, 403, 404, 405, 422)


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "{temporary}/../../etc/passwd", "{run}/config.json"]
)
def test_no_file_can_be_named_that_was_not_uploaded(served, trained, file):
    """As a page of one's own would ask: each of the functions, with a file's path."""
    file = file.replace("{run}", str(trained[0]))
    file = file.replace("{temporary}", os.environ["GRADIO_TEMP_DIR"])
    with urllib.request.urlopen(f"{served}/config") as response:
        functions = json.load(response)["dependencies"]
    data = {"path": file, "meta": {"_type": "gradio.FileData"}}
    for function in functions:
        count = len(function["inputs"])
        body = {"data": [data] * count, "fn_index": function["id"], "session_hash": "x"}
        request = urllib.request.Request(
            f"{served}/gradio_api/run/predict",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        answer = refused.value.read()
        refused.value.close()
        assert b"root:" not in answer and b"train_layers" not in answer


def test_it_is_served_on_this_machine_only(served):
    assert urllib.parse.urlsplit(served).hostname == "127.0.0.1"
