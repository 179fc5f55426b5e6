"""The page in a browser."""

import re
import shutil

import numpy as np
import pytest

from jaxart.data import predictions
from jaxart.report import facts, reading, writing
from tests.report.conftest import CLASSES


@pytest.fixture(scope="module")
def report(run):
    return writing.write(run)


@pytest.fixture(scope="module")
def comparison(run, better, tmp_path_factory):
    out = tmp_path_factory.mktemp("both") / "new" / "both.html"
    return writing.write_comparison([run, better], out)


def axe(page):
    api = pytest.importorskip("axe_playwright_python.sync_playwright")
    return api.Axe().run(page).response["violations"]


def test_a_cell_opens_its_paintings(browse, report, run):
    page = browse(report)
    numbers = facts.of_run(run)
    table = reading.read(run).table
    cells = page.locator("[data-cell]")
    assert cells.count() == sum(n > 0 for row in numbers["confusion"] for n in row)
    cell = page.locator('[data-cell="0,1"]')
    count = numbers["confusion"][0][1]
    assert cell.inner_text() == str(count) and count > 1
    cell.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="baroque, predicted cubism")
    listed = dialog.locator("img")
    assert listed.count() == count
    wanted = {
        table.names[i]
        for i in range(len(table.names))
        if (table.labels[i], table.predicted[i]) == (0, 1)
    }
    alts = listed.evaluate_all("images => images.map(image => image.alt)")
    assert set(alts) == wanted
    widths = listed.evaluate_all("images => images.map(image => image.naturalWidth)")
    assert set(widths) == {50}  # never enlarged
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_what_is_on_it(browse, report, run):
    page = browse(report)
    numbers = facts.of_run(run)
    text = page.locator("main").inner_text()
    low, high = numbers["accuracy_ci95"]
    assert f"{100 * numbers['accuracy']:.1f} %" in text
    assert f"95 % interval {100 * low:.1f} to {100 * high:.1f} %" in text
    assert "33.3 %" in text and "baroque, always" in text
    assert "temperature is 4.000: it is too sure" in text
    assert "config.num_epochs = 4\n" in text and "9.9" in text
    for cards in ("#mistakes", "#uncertain"):
        images = page.locator(f"{cards} img")
        assert images.count() == 2 * 24
        assert images.evaluate_all("all => all.every(image => image.naturalWidth > 0)")
    assert page.locator("#typical img").count() == 18
    assert page.locator("main svg text").count() > 20  # text is text
    assert page.get_by_role("img", name=re.compile("^Curves of loss")).count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(x => x.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_it_is_accessible_and_as_wide_as_the_window(
    browse, request, name, scheme, width
):
    page = browse(
        request.getfixturevalue(name),
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        bypass_csp=True,  # axe is a script
    )
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if name == "report":
        page.locator("[data-cell]").first.click()
        assert axe(page) == []


def test_several_runs_on_one_page(browse, comparison):
    page = browse(comparison)
    row = page.locator("#pairs-table tbody tr").inner_text()
    assert "tiny and better" in row and "better is better" in row
    assert page.locator("main svg").count() == 4
    text = page.locator("main").inner_text()
    assert "Settings that differ" in text and "None." in text


def test_the_same_run_gives_the_same_page(run, report, tmp_path):
    again = writing.write(run, tmp_path / "again.html")
    assert again.read_bytes() == report.read_bytes()
    assert report.stat().st_size < 1_000_000


def test_names_are_shown_and_not_run(run, tmp_path, browse):
    hostile = "</script><script>console.log('run')</script>&\udce9.png"
    renamed = tmp_path / "<b>run"
    renamed.mkdir()
    first = reading.read(run).table.names[facts.of_run(run)["mistakes"][0]]
    for file in ("config.json", "predictions.csv"):
        text = (run / file).read_text()
        text = text.replace(first, hostile).replace("never", "<i>never")
        (renamed / file).write_text(text, errors="surrogateescape")
    page = browse(writing.write(renamed))
    assert page.locator("h1").inner_text() == "<b>run"
    assert page.locator("b, i").count() == 0
    cards = page.locator("#mistakes").inner_text()
    assert hostile.replace("\udce9", "\ufffd") in cards
    assert CLASSES[2] in cards
    assert "<i>never" in page.locator(".matrix").inner_text()


def test_the_matrix_has_the_classes_with_the_most_mistakes(run, tmp_path, browse):
    """50 classes of 2 images; of the last 5, one is taken for the one before."""
    workdir = tmp_path / "wide"
    workdir.mkdir()
    shutil.copy(run / "config.json", workdir)
    names = tuple(f"class {i:02}" for i in range(50))
    labels = np.repeat(np.arange(50), 2)
    predicted = labels - (np.arange(100) >= 90) * (np.arange(100) % 2)
    predictions.write_predictions(
        workdir / "predictions.csv",
        [f"{i}.png" for i in range(100)],
        labels,
        0.02 + 0.5 * np.eye(50)[predicted],
        names,
    )
    page = browse(writing.write(workdir))
    text = page.locator("main").inner_text()
    assert "10 classes with fewer mistakes are left out." in text
    shown = page.locator(".matrix tbody th").all_inner_texts()
    assert [text[:8] for text in shown] == [*names[:34], *names[44:]]
    assert page.locator(".off [data-cell]").count() == 5
