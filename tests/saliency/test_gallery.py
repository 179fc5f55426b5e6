"""The gallery: what Python writes, and what a browser makes of it."""

import json
import os
import re
import shutil
from urllib.parse import quote

import pytest
from PIL import Image

from jaxart.saliency import gallery

HOSTILE = (
    "a b#c?d%20e.jpg",
    "\"quotes\" & 'more'.jpg",
    "<script>window.hacked = 1<",
    "</script><img src=x onerror='window.hacked = 1'>.jpg",
    "${window.hacked = 1}`.jpg",
    "javascript:window.hacked = 1",
    "été/日本 \u2028.jpg",
    "latin-1 \udce9.jpg",  # what os.fsdecode makes of a byte that is no UTF-8
)
FILES = {kind: f"gallery/{kind}.jpg" for kind in ("thumbnail", "picture", "map")}


def entry(i, path=None, files=FILES):
    """Of 3 classes: predicted in turn; every fourth map explains another class."""
    names = ("cat", "dog", "Érable")
    order = [(i + k) % 3 for k in range(3)]
    target = order[1] if i % 4 == 3 else order[0]
    return {
        "path": path or f"animals/picture {i}.jpg",
        "size": [640, 480],
        "predicted": order[0],
        "predicted_name": names[order[0]],
        "logit": 12.3456789,
        "probability": 0.5 + (i * 7 % 11) / 100,
        "top5": [
            {"index": k, "name": names[k], "probability": p}
            for k, p in zip(order, (0.5 + (i * 7 % 11) / 100, 0.3, 0.0001), strict=True)
        ],
        "target": target,
        "target_name": names[target],
        "files": files,
        "seconds": 1.5,  # a manifest says more than the page needs
    }


def read(out):
    text = (out / "gallery" / "entries.js").read_text(encoding="ascii")
    return json.loads(re.fullmatch(r"window\.GALLERY = (.*);\n", text, re.DOTALL)[1])


def test_the_page_gets_what_it_needs_and_no_more(tmp_path):
    files = FILES | {"npy": "maps/1.npy", "overlay": "o.png", "other": "other.txt"}
    gallery.write(tmp_path, "T", "s", [entry(3, files=files) | {"label_name": "dog"}])
    assert read(tmp_path) == {
        "title": "T",
        "subtitle": "s",
        "classes": {"0": "cat", "1": "dog", "2": "Érable"},
        "entries": [
            {
                "path": "animals/picture 3.jpg",
                "size": [640, 480],
                "predicted": 0,
                "logit": 12.346,
                "probability": 0.6,
                "top5": [[0, 0.6], [1, 0.3], [2, 0.0001]],
                "target": 1,
                "thumbnail": "gallery/thumbnail.jpg",
                "picture": "gallery/picture.jpg",
                "map": "gallery/map.jpg",
                "links": {"overlay": "o.png", "npy": "maps/1.npy"},
                "label": "dog",
            }
        ],
    }


def test_every_name_survives(tmp_path):
    gallery.write(tmp_path, "T", "s", (entry(i, n) for i, n in enumerate(HOSTILE)))
    paths = [entry["path"] for entry in read(tmp_path)["entries"]]
    assert paths == [name.replace("\udce9", "\ufffd") for name in HOSTILE]


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("maps/a b#c?d%e.jpg", "maps/a%20b%23c%3Fd%25e.jpg"),
        ("é/\"'<>.jpg", "%C3%A9/%22%27%3C%3E.jpg"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("back\\slash \udce9.jpg", "back%5Cslash%20%E9.jpg"),
    ],
)
def test_paths_become_urls(tmp_path, path, url):
    gallery.write(tmp_path, "T", "s", [entry(0, files=FILES | {"map": path})])
    assert read(tmp_path)["entries"][0]["map"] == url


def test_files_are_replaced_whole(tmp_path, monkeypatch):
    def broken():
        yield entry(0)
        raise RuntimeError

    gallery.write(tmp_path, "T", "s", [entry(0), entry(1)])
    before = snapshot(tmp_path)
    with pytest.raises(RuntimeError):
        gallery.write(tmp_path, "T", "s", broken())
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(os, "replace", None)  # as if stopped just before
        gallery.write(tmp_path, "T", "s", [entry(2)])
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(before) == {"index.html", "gallery/entries.js"}
    gallery.write(tmp_path, "T", "s", [entry(0), entry(1)])
    assert snapshot(tmp_path) == before  # the same bytes, and nothing left beside


def snapshot(out):
    paths = (path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("needs Chromium or Chrome")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium):
    """Opens a gallery; at the end nothing may have gone wrong in any."""
    contexts, complaints, requests = [], [], []

    def browse(out, fragment="", **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((out / "index.html").as_uri() + fragment)
        return page

    yield browse
    for context in contexts:
        context.close()
    assert not complaints
    assert all(url.startswith("file://") for url in requests)


def make(out, entries):
    (out / "gallery").mkdir(parents=True)
    for kind, colour in zip(FILES, ("gray", "navy", "orange"), strict=True):
        Image.new("RGB", (64, 48), colour).save(out / FILES[kind])
    gallery.write(out, "Animals", "alexnet, fc8", entries)
    return out


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """12 pictures; the first 6 have a label, of which every second is wrong."""
    entries = [entry(i) for i in range(12)]
    for i in range(6):
        right = entries[i]["predicted_name"]
        entries[i]["label_name"] = "another" if i % 2 else right
    return make(tmp_path_factory.mktemp("animals"), entries)


def thumbnails(page):
    return page.locator("#grid button")


def files(page):
    """The numbers of the pictures in the grid, in order."""
    texts = page.locator("#grid .file").all_inner_texts()
    return [int(re.search(r"\d+", text)[0]) for text in texts]


def test_header_and_thumbnails(browse, animals):
    page = browse(animals)
    assert page.title() == page.locator("h1").inner_text() == "Animals"
    assert page.locator("#subtitle").inner_text() == "alexnet, fc8"
    assert page.locator("#count").inner_text() == "12 pictures"
    assert thumbnails(page).nth(2).inner_text().split("\n") == [
        "Érable",
        "53.0%",
        "picture 2.jpg",
    ]
    assert page.locator("#pages").is_hidden()


def test_filters_and_order(browse, animals):
    page = browse(animals)
    predicted = page.get_by_label("Predicted class")
    assert predicted.locator("option").all_inner_texts() == [
        "All classes",
        "cat (4)",
        "dog (4)",
        "Érable (4)",
    ]
    predicted.select_option("dog (4)")
    assert files(page) == [1, 4, 7, 10]
    assert page.locator("#count").inner_text() == "4 of 12 pictures"
    page.get_by_label("Right or wrong").select_option("Wrong")
    assert files(page) == [1]
    page.get_by_label("Right or wrong").select_option("Right")
    assert files(page) == [4]

    text = page.get_by_label("Filter by name")
    text.fill("no such thing")
    assert page.get_by_text("No picture matches.").is_visible()
    assert thumbnails(page).count() == 0
    page.get_by_role("button", name="Clear the filters").click()
    assert files(page) == list(range(12))
    text.fill(" ERABLE")  # a class, without its accent
    assert files(page) == [2, 5, 8, 11]
    text.fill("PICTURE 1")
    assert files(page) == [1, 10, 11]

    text.fill("")
    order = page.get_by_label("Order")
    order.select_option("Probability, low to high")
    assert files(page) == sorted(range(12), key=lambda i: i * 7 % 11)
    order.select_option("Probability, high to low")
    assert files(page) == sorted(range(12), key=lambda i: -(i * 7 % 11))
    order.select_option("Name")
    assert files(page) == list(range(12))  # and not 0, 1, 10, 11, 2


def test_without_labels_there_is_no_right_or_wrong(browse, tmp_path):
    page = browse(make(tmp_path, [entry(0)]))
    assert page.get_by_label("Right or wrong").is_hidden()
    assert page.locator("#count").inner_text() == "1 picture"


def test_viewer(browse, animals):
    page = browse(animals)
    thumbnails(page).nth(3).click()
    viewer = page.get_by_role("dialog", name="picture 3.jpg")
    assert viewer.is_visible()
    assert page.locator("#position").inner_text() == "4 of 12"
    assert page.locator("h3").inner_text() == "cat 60.0%"
    assert viewer.get_by_text("Map explains: dog").is_visible()
    assert page.locator("#top5 li").all_inner_texts() == [
        "cat\n60.0%",
        "dog\n30.0%",
        "Érable\n<0.1%",
    ]
    assert page.locator("#top5 [aria-current]").inner_text() == "dog\n30.0%"
    assert (
        page.locator("#facts").inner_text().split()
        == (
            "Path animals/picture 3.jpg Size 640 × 480 Logit 12.35 "
            "Target dog Label another (wrong)"
        ).split()
    )

    page.keyboard.press("ArrowRight")  # though the slider has the focus
    assert page.locator("#name").inner_text() == "picture 4.jpg"
    assert page.locator("#note").is_hidden()
    page.get_by_role("button", name="Previous picture").click()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#name").inner_text() == "picture 2.jpg"
    page.keyboard.press("Escape")
    page.wait_for_function("!viewer.open && !location.hash")
    focused = page.evaluate("document.activeElement.title")
    assert focused == "animals/picture 2.jpg"


def test_arrows_follow_filter_and_order(browse, animals):
    page = browse(animals)
    page.get_by_label("Predicted class").select_option("dog (4)")
    page.get_by_label("Order").select_option("Probability, low to high")
    expected = [f"picture {i}.jpg" for i in files(page)]
    thumbnails(page).first.click()
    assert page.get_by_role("button", name="Previous picture").is_disabled()
    seen = []
    for _ in expected:
        seen.append(page.locator("#name").inner_text())
        page.keyboard.press("ArrowRight")
    assert seen == expected
    assert page.get_by_role("button", name="Next picture").is_disabled()
    assert page.locator("#name").inner_text() == expected[-1]


def test_slider_clips_the_map(browse, animals):
    page = browse(animals)
    thumbnails(page).first.click()

    def clip():
        style = "getComputedStyle(document.querySelector('.side.map')).clipPath"
        return float(re.search(r"([\d.]+)%?\)$", page.evaluate(style))[1])

    assert clip() == 50
    page.keyboard.press("]")
    assert clip() == 55
    page.keyboard.press("ArrowUp")
    assert clip() > 55
    page.get_by_role("slider").fill("20")
    assert clip() == 20
    box = page.locator("#stage").bounding_box()
    y = box["y"] + box["height"] / 4
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], y)
    page.mouse.up()
    assert clip() == pytest.approx(75, abs=0.5)
    page.mouse.move(box["x"], y)
    assert clip() == pytest.approx(75, abs=0.5)
    assert float(page.get_by_role("slider").input_value()) == pytest.approx(clip())


def test_the_address_remembers_the_picture(browse, animals):
    page = browse(animals)
    thumbnails(page).nth(1).click()
    page.keyboard.press("ArrowRight")
    fragment = "#animals%2Fpicture%202.jpg"
    assert page.url.endswith(fragment)
    page.go_back()
    page.wait_for_function("!viewer.open && !location.hash")
    page.go_forward()
    page.wait_for_function("viewer.open")

    page = browse(animals, fragment)
    assert page.get_by_role("dialog", name="picture 2.jpg").is_visible()
    page.get_by_role("button", name="Close").click()
    page.wait_for_function("!viewer.open && !location.hash")
    page = browse(animals, "#no%such")
    assert page.get_by_role("dialog").is_hidden()


def test_hostile_names_are_text(browse, tmp_path):
    entries = [entry(i, path, FILES | {"npy": path}) for i, path in enumerate(HOSTILE)]
    for item in entries:
        item["label_name"] = item["path"]
        item["target_name"] = item["predicted_name"] = HOSTILE[3]
        for top in item["top5"]:
            top["name"] = HOSTILE[2]
    page = browse(make(tmp_path, entries))
    thumbnails(page).first.click()
    for path in HOSTILE:
        shown = page.locator("#facts dd").first.text_content()
        assert shown == path.replace("\udce9", "\ufffd")
        link = page.get_by_role("link").evaluate("link => link.href")
        assert link == f"{tmp_path.as_uri()}/{quote(os.fsencode(path))}"
        page.keyboard.press("ArrowRight")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == len(HOSTILE) + 2


@pytest.mark.parametrize("missing", [True, False])
def test_nothing_to_show(browse, tmp_path, missing):
    gallery.write(tmp_path, "T", "s", [])
    if missing:
        (tmp_path / "gallery" / "entries.js").write_text("")
    page = browse(tmp_path)
    text = "gallery's data is missing" if missing else "This gallery has no pictures."
    assert page.get_by_text(text).is_visible()
    assert page.locator("#controls").is_hidden()


def test_ten_thousand_pictures(browse, tmp_path):
    entries = [
        entry(
            i,
            f"validation/n01440764/ILSVRC2012_val_{i:08}.JPEG",
            FILES | {kind: f"{kind}/{i:05}.png" for kind in ("overlay", "npy")},
        )
        for i in range(10_000)
    ]
    make(tmp_path / "many", entries)
    make(tmp_path / "few", entries[:240])
    assert (tmp_path / "many/gallery/entries.js").stat().st_size < 5e6

    # What the browser has to lay out does not grow with the run.
    few, page = (browse(tmp_path / name) for name in ("few", "many"))
    count = "document.querySelectorAll('*').length"
    assert page.evaluate(count) == few.evaluate(count)

    page.get_by_label("Filter by name").fill("val_0000999")
    assert thumbnails(page).count() == 10
    page.get_by_label("Filter by name").fill("")
    assert thumbnails(page).count() == 120
    assert page.locator("#last").inner_text() == "84"
    page.get_by_role("button", name="Next", exact=True).click()
    assert thumbnails(page).first.get_attribute("title").endswith("val_00000120.JPEG")
    page.get_by_role("spinbutton").fill("84")
    page.keyboard.press("Enter")
    assert thumbnails(page).count() == 40

    thumbnails(page).first.click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")  # which turns the page back
    page.wait_for_function("document.activeElement.title.endsWith('00009959.JPEG')")
    assert page.get_by_role("spinbutton").input_value() == "83"
    assert thumbnails(page).count() == 120


def test_dark_and_light(browse, animals):
    background = "getComputedStyle(document.body).backgroundColor"
    dark = browse(animals, color_scheme="dark").evaluate(background)
    light = browse(animals, color_scheme="light").evaluate(background)
    assert dark != light


def test_on_a_phone(browse, animals):
    size = {"width": 390, "height": 844}
    page = browse(animals, viewport=size, is_mobile=True, has_touch=True)
    columns = "getComputedStyle(grid).gridTemplateColumns.split(' ').length"
    wide = "Math.max(document.documentElement.scrollWidth, viewer.scrollWidth)"
    assert page.evaluate(columns) == 2
    assert page.evaluate(wide) == 390
    thumbnails(page).first.tap()
    assert page.evaluate(wide) == 390
    assert page.locator("#stage").bounding_box()["width"] == 390
    page.get_by_role("button", name="Close").tap()
    page.wait_for_function("!viewer.open")


def test_missing_files_leave_the_page_whole(chromium, tmp_path):
    make(tmp_path, [entry(0), entry(1)])
    for path in FILES.values():
        (tmp_path / path).unlink()
    context = chromium.new_context()  # not `browse`: the browser reports each file
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((tmp_path / "index.html").as_uri())
    box = page.locator(".thumbnail").first.bounding_box()
    assert box["width"] == box["height"] > 100
    thumbnails(page).first.click()
    page.keyboard.press("ArrowRight")
    assert page.locator("#name").inner_text() == "picture 1.jpg"
    context.close()
    assert not errors
