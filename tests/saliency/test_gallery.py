"""The gallery: what Python writes, and what a browser makes of it."""

import os
import re
from urllib.parse import quote

import pytest
from PIL import Image

from jaxart.saliency import gallery
from tests.saliency.page_data import read

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
FILES = {kind: f"gallery/{kind}.jpg" for kind in ("thumbnail", "picture")}
MAPS = ("gradient", "grad_cam")
NAMES = ("cat", "dog", "Érable")


def one_map(method, target, files):
    return {
        "method": method,
        "settings": {"layer": "relu5"} if method == "grad_cam" else {},
        "score": "logit",
        "asked": "predicted",
        "target": target,
        "target_name": NAMES[target],
        "target_logit": 2.50049,
        "map": {"min": 0.0, "max": 0.250009, "sum": 12.0, "limit": 0.1},
        "files": {"map": f"gallery/{method}.jpg"} | files,
    }


def entry(i, path=None, files=FILES, of_maps=None, methods=MAPS):
    """Of 3 classes: predicted in turn; every fourth map explains another class."""
    order = [(i + k) % 3 for k in range(3)]
    target = order[1] if i % 4 == 3 else order[0]
    return {
        "path": path or f"animals/picture {i}.jpg",
        "size": [640, 480],
        "predicted": order[0],
        "predicted_name": NAMES[order[0]],
        "logit": 12.3456789,
        "probability": 0.5 + (i * 7 % 11) / 100,
        "top5": [
            {"index": k, "name": NAMES[k], "probability": p}
            for k, p in zip(order, (0.5 + (i * 7 % 11) / 100, 0.3, 0.0001), strict=True)
        ],
        "files": files,
        "maps": [one_map(method, target, of_maps or {}) for method in methods],
        "seconds": 1.5,  # a manifest says more than the page needs
    }


def label(record, name):
    return record | {"label": NAMES.index(name), "label_name": name}


def test_the_page_gets_what_it_needs_and_no_more(tmp_path):
    of_maps = {"npy": "maps/1.npy", "overlay": "o.png", "other": "other.txt"}
    record = label(entry(3, of_maps=of_maps, methods=["grad_cam"]), "dog")
    record["maps"][0] |= {"against": 4, "against_name": "fox", "against_logit": -1}
    gallery.write(tmp_path, "T", "s", [record])
    assert read(tmp_path) == {
        "title": "T",
        "subtitle": "s",
        "classes": {"0": "cat", "1": "dog", "2": "Érable", "4": "fox"},
        "maps": [
            {
                "method": "grad_cam",
                "settings": {"layer": "relu5"},
                "score": "logit",
                "asked": "predicted",
                "against": "fox",
            }
        ],
        "files": [
            ["thumbnail", -1, "gallery/thumbnail.jpg"],
            ["picture", -1, "gallery/picture.jpg"],
            ["map", 0, "gallery/grad_cam.jpg"],
            ["overlay", 0, "o.png"],
            ["npy", 0, "maps/1.npy"],
        ],
        "rows": [
            [
                "animals/picture 3.jpg",
                *(640, 480),
                *(0, 12.346, 0.6),
                [0, 0.6, 1, 0.3, 2, 0.0001],
                1,
                [[1, 2.5, 0.0, 0.25, 12.0, 0.1, 4, -1]],
            ]
        ],
    }


def test_files_named_after_the_image_are_written_once(tmp_path):
    def named(path, file):
        return entry(0, path, {kind: f"{kind}/{file}.jpg" for kind in FILES})

    gallery.write(tmp_path, "T", "s", [named("/a b", "_root/a b"), named("/c", "c")])
    written = read(tmp_path)
    assert written["files"][0] == ["thumbnail", -1, "thumbnail/_root*.jpg"]
    as_named, otherwise = written["rows"]
    assert len(as_named) == 9
    assert otherwise[9][:2] == ["thumbnail/c.jpg", "picture/c.jpg"]


def test_every_name_survives(tmp_path):
    gallery.write(tmp_path, "T", "s", (entry(i, n) for i, n in enumerate(HOSTILE)))
    paths = [row[0] for row in read(tmp_path)["rows"]]
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
    gallery.write(tmp_path, "T", "s", [entry(0, of_maps={"npy": path})])
    assert ["npy", 0, url] in read(tmp_path)["files"]


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
    names = (*FILES, *MAPS)
    for name, colour in zip(names, ("gray", "navy", "orange", "red"), strict=True):
        Image.new("RGB", (64, 48), colour).save(out / f"gallery/{name}.jpg")
    gallery.write(out, "Animals", "alexnet, fc8", entries)
    return out


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """12 pictures; the first 6 have a label, of which every second is wrong."""
    entries = [entry(i) for i in range(12)]
    for i in range(6):
        entries[i] = label(entries[i], NAMES[(i + i % 2) % 3])
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


def test_filters_and_order(browse, animals):
    page = browse(animals)
    chosen = page.get_by_label("Class", exact=True)
    assert chosen.locator("option").all_text_contents() == [
        "All classes",
        *("cat (4)", "dog (4)", "Érable (4)"),  # predicted
        *("cat (2)", "dog (2)", "Érable (2)"),  # labelled
    ]
    chosen.select_option("dog (4)")
    assert files(page) == [1, 4, 7, 10]
    assert page.locator("#count").inner_text() == "4 of 12 pictures"
    page.get_by_label("Right or wrong").select_option("✕ Wrong")
    assert files(page) == [1]
    page.get_by_label("Right or wrong").select_option("✓ Right")
    assert files(page) == [4]

    page.get_by_label("Right or wrong").select_option("All verdicts")
    chosen.select_option("Érable (2)")  # a label
    assert files(page) == [1, 2]

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
    order.select_option("Least certain first")
    assert files(page) == sorted(range(12), key=lambda i: i * 7 % 11)
    order.select_option("Most certain first")
    assert files(page) == sorted(range(12), key=lambda i: -(i * 7 % 11))
    order.select_option("By path")
    assert files(page) == list(range(12))  # and not 0, 1, 10, 11, 2


def test_without_labels_there_is_no_right_or_wrong(browse, tmp_path):
    page = browse(make(tmp_path, [entry(0)]))
    assert page.get_by_label("Right or wrong").is_hidden()
    assert page.locator("#count").inner_text() == "1 picture"


def test_wrong_ones_are_marked_in_words(browse, animals):
    page = browse(animals)
    marks = page.locator("#grid .wrong").all_inner_texts()
    assert marks == ["✕ is Érable", "✕ is dog", "✕ is cat"]


def test_viewer(browse, animals):
    page = browse(animals)
    thumbnails(page).nth(3).click()
    viewer = page.get_by_role("dialog", name="picture 3.jpg")
    assert viewer.is_visible()
    assert page.evaluate("document.activeElement.id") == "name"
    assert page.locator("#position").inner_text() == "4 of 12"
    assert page.locator("h3").inner_text() == "cat 60.0%"
    assert viewer.get_by_text("The map explains dog (logit 2.50)").is_visible()
    assert viewer.get_by_text("✕ Wrong: it is dog").is_visible()
    assert page.locator("#top5 li").all_inner_texts() == [
        "cat\n60.0%",
        "dog\n30.0%",
        "Érable\n<0.1%",
    ]
    assert page.locator("#top5 [aria-current]").inner_text() == "dog\n30.0%"
    assert (
        page.locator("#facts").inner_text().split()
        == (
            "Path animals/picture 3.jpg Size 640 × 480 Logit 12.35 Method gradient "
            "Score logit Values 0 to 0.25 Sum 12 Colours end 0.1"
        ).split()
    )

    page.keyboard.press("ArrowRight")
    assert page.locator("#name").inner_text() == "picture 4.jpg"
    page.get_by_role("button", name="Previous picture").click()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#name").inner_text() == "picture 2.jpg"
    page.keyboard.press("Escape")
    page.wait_for_function("!viewer.open && !location.hash")
    focused = page.evaluate("document.activeElement.title")
    assert focused == "animals/picture 2.jpg"


def sources(page, selector):
    page.wait_for_function("!document.querySelector('img[data-src]')")
    images = page.locator(selector).evaluate_all("all => all.map(one => one.src)")
    return [url.rpartition("/")[2] for url in images]


def test_maps_and_views(browse, animals):
    page = browse(animals)
    assert sources(page, "#grid img")[:2] == ["thumbnail.jpg", "gradient.jpg"]
    page.locator("select[name=map]").select_option("grad_cam · predicted")
    assert sources(page, "#grid img")[:2] == ["thumbnail.jpg", "grad_cam.jpg"]
    page.get_by_role("radio", name="Picture").check()
    assert set(sources(page, "#grid img")) == {"thumbnail.jpg"}
    page.get_by_role("radio", name="Map", exact=True).check()
    assert set(sources(page, "#grid img")) == {"grad_cam.jpg"}
    page.get_by_role("radio", name="All maps").check()
    expected = ["thumbnail.jpg", "gradient.jpg", "grad_cam.jpg"]
    assert sources(page, "#grid img")[:3] == expected
    assert page.evaluate("location.hash") == "#map=2&view=all"

    thumbnails(page).first.click()
    assert sources(page, "#map") == ["grad_cam.jpg"]
    page.keyboard.press("1")
    assert sources(page, "#map") == ["gradient.jpg"]
    page.keyboard.press("c")
    assert sources(page, "#compared img") == ["picture.jpg", *expected[1:]]
    assert page.locator("#stage").is_hidden()
    assert "compare=1" in page.evaluate("location.hash")
    page.keyboard.press("Escape")
    page.wait_for_function("!viewer.open && location.hash === '#view=all'")


def test_one_map_leaves_nothing_to_choose(browse, tmp_path):
    page = browse(make(tmp_path, [entry(0, methods=["gradient"])]))
    assert page.locator("select[name=map]").is_hidden()
    assert page.get_by_text("All maps", exact=True).is_hidden()
    thumbnails(page).first.click()
    assert page.get_by_role("button", name="Compare").is_hidden()


def test_maps_that_differ_in_settings_are_told_apart(browse, tmp_path):
    record = entry(0, methods=["grad_cam", "grad_cam", "gradient"])
    record["maps"][1]["settings"] = {"layer": "relu3"}
    page = browse(make(tmp_path, [record]))
    assert page.locator("select[name=map] option").all_inner_texts() == [
        "grad_cam · predicted · layer relu5 · logit",
        "grad_cam · predicted · layer relu3 · logit",
        "gradient · predicted",
    ]


def test_other_runs_beside_this_one(browse, tmp_path):
    make(tmp_path / "here", [entry(0), entry(1)])
    make(tmp_path / "other run", [entry(0, methods=["gradient"])])
    page = browse(tmp_path / "here", "?with=../other run/&with=https://a.invalid/")
    thumbnails(page).first.click()
    page.keyboard.press("c")
    captions = page.locator("#compared strong")
    assert captions.all_inner_texts() == [
        "Picture",
        "gradient · predicted (this run)",
        "grad_cam · predicted (this run)",
        "gradient · predicted (../other run/)",
    ]
    url = page.locator("#compared img").last.evaluate("image => image.src")
    assert url == (tmp_path / "other run/gallery/gradient.jpg").as_uri()
    assert page.get_by_text("Predicted: cat 50.0%").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.get_by_text("No such picture").is_visible()
    page.keyboard.press("Escape")
    lost = page.locator("#lost").inner_text()
    assert lost == "No gallery in https://a.invalid/."


def test_keys(browse, animals):
    page = browse(animals)
    page.keyboard.press("/")
    page.keyboard.type("picture 1?2")
    assert page.get_by_label("Filter by name").input_value() == "picture 1?2"
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Clear the filters").click()
    thumbnails(page).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    title = "document.activeElement.title"
    assert page.evaluate(title) == "animals/picture 1.jpg"
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog", name="picture 1.jpg").is_visible()
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("ArrowRight")  # is not for the picture below
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog", name="picture 1.jpg").is_visible()


def test_arrows_follow_filter_and_order(browse, animals):
    page = browse(animals)
    page.get_by_label("Class", exact=True).select_option("dog (4)")
    page.get_by_label("Order").select_option("Least certain first")
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


def test_slider_mixes_picture_and_map(browse, animals):
    page = browse(animals)
    thumbnails(page).first.click()
    opacity = "Number(getComputedStyle(map).opacity)"
    assert page.evaluate(opacity) == 0.6
    page.keyboard.press("]")
    assert page.evaluate(opacity) == 0.7
    slider = page.get_by_role("slider")
    slider.fill("20")
    assert page.evaluate(opacity) == 0.2
    slider.press("ArrowRight")  # is the slider's, while it has the focus
    assert page.evaluate(opacity) == 0.21
    assert page.locator("#name").inner_text() == "picture 0.jpg"


def test_the_address_remembers_the_picture(browse, animals):
    page = browse(animals)
    thumbnails(page).nth(1).click()
    page.keyboard.press("ArrowRight")
    fragment = "#open=animals%2Fpicture+2.jpg"
    assert page.evaluate("location.hash") == fragment
    page.go_back()
    page.wait_for_function("!viewer.open && !location.hash")
    page.go_forward()
    page.wait_for_function("viewer.open")

    page = browse(animals, fragment)
    assert page.get_by_role("dialog", name="picture 2.jpg").is_visible()
    page.get_by_role("button", name="Close").click()
    page.wait_for_function("!viewer.open && !location.hash")
    page = browse(animals, "#no%such&map=9&view=none&class=x&order=constructor")
    assert page.get_by_role("dialog").is_hidden()
    assert files(page) == list(range(12))


def test_the_address_remembers_filters_and_order(browse, animals):
    page = browse(animals)
    page.get_by_label("Right or wrong").select_option("✕ Wrong")
    page.get_by_label("Order").select_option("Least certain first")
    page.get_by_label("Filter by name").fill("PICT")
    assert page.evaluate("location.hash") == "#q=PICT&verdict=wrong&order=low"
    assert files(page) == sorted([1, 3, 5], key=lambda i: i * 7 % 11)
    again = browse(animals, page.evaluate("location.hash"))
    assert files(again) == files(page)
    page.go_back()
    assert files(page) == [1, 3, 5]
    assert page.get_by_label("Order").input_value() == ""
    page.go_back()
    assert files(page) == list(range(12))


def test_a_picture_that_the_filters_hide_opens_from_its_address(browse, animals):
    page = browse(animals, "#q=picture+1&open=animals%2Fpicture+2.jpg")
    assert page.get_by_role("dialog", name="picture 2.jpg").is_visible()
    assert page.locator("#position").inner_text() == "3 of 12"


def test_hostile_names_are_text(browse, tmp_path):
    entries = [
        entry(i, path, of_maps={"npy": path}, methods=["gradient"])
        for i, path in enumerate(HOSTILE)
    ]
    for item in entries:
        item |= {"label": 7, "label_name": HOSTILE[1]}
        item["maps"][0]["target_name"] = item["predicted_name"] = HOSTILE[3]
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
    assert page.locator("img").count() == 2 * len(HOSTILE) + 2
    again = browse(tmp_path, page.evaluate("location.hash"))
    assert again.locator("#facts dd").first.text_content() == shown


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
        entry(i, f"validation/n01440764/ILSVRC2012_val_{i:08}.JPEG")
        for i in range(10_000)
    ]
    make(tmp_path / "many", entries)
    make(tmp_path / "few", entries[:240])
    assert (tmp_path / "many/gallery/entries.js").stat().st_size < 2e6

    # What the browser has to lay out does not grow with the run.
    few, page = (browse(tmp_path / name) for name in ("few", "many"))
    count = "document.querySelectorAll('*').length"
    assert page.evaluate(count) == few.evaluate(count)

    page.get_by_label("Filter by name").fill("val_0000999")
    assert thumbnails(page).count() == 10
    page.get_by_label("Filter by name").fill("")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("grid.lastChild?.ariaPosInSet === '10000'")
    assert thumbnails(page).count() < 100

    thumbnails(page).last.click()
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.title.endsWith('00009999.JPEG')")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("grid.firstChild.ariaPosInSet === '1'")
    focused = "document.activeElement.title"
    assert page.evaluate(focused).endswith("00009999.JPEG")  # is kept


def test_dark_and_light(browse, animals):
    background = "getComputedStyle(document.body).backgroundColor"
    dark = browse(animals, color_scheme="dark").evaluate(background)
    light = browse(animals, color_scheme="light").evaluate(background)
    assert dark != light


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_has_no_complaints(browse, animals, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    size = {"width": width, "height": 800}
    page = browse(animals, color_scheme=scheme, viewport=size)

    def check():
        results = axe.run(page)
        assert not results.violations_count, results.generate_report()

    check()
    thumbnails(page).nth(3).click()
    check()
    page.keyboard.press("c")
    check()
    page.keyboard.press("?")
    check()


def test_on_a_phone(browse, animals):
    size = {"width": 360, "height": 740}
    page = browse(animals, viewport=size, is_mobile=True, has_touch=True)
    wide = "Math.max(document.documentElement.scrollWidth, viewer.scrollWidth)"
    assert page.evaluate(wide) == 360
    thumbnails(page).first.tap()
    assert page.evaluate(wide) == 360
    assert page.locator("#stage").bounding_box()["width"] == 360
    page.get_by_role("button", name="Close").tap()
    page.wait_for_function("!viewer.open")


def test_missing_files_leave_the_page_whole(chromium, tmp_path):
    make(tmp_path, [entry(0), entry(1)])
    for path in (tmp_path / "gallery").glob("*.jpg"):
        path.unlink()
    context = chromium.new_context()  # not `browse`: the browser reports each file
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((tmp_path / "index.html").as_uri())
    box = page.locator(".tile").first.bounding_box()
    assert box["width"] == pytest.approx(box["height"]) and box["width"] > 100
    thumbnails(page).first.click()
    page.keyboard.press("ArrowRight")
    assert page.locator("#name").inner_text() == "picture 1.jpg"
    context.close()
    assert not errors
