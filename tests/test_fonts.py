"""Names in any script are drawn, and never as boxes."""

import itertools
import logging
import shutil
import subprocess
import sys
import unicodedata
import warnings

import matplotlib
import numpy as np
import pytest
from fontTools import fontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from jaxart import fonts

SIZE = 16
BROUGHT = ["Ünlü", "Łódź", "Česká", "Ắnh", "Ελληνικά", "Русский", "العربية"]
OF_THE_SYSTEM = ["浮世絵", "한국어", "हिन्दी", "ภาษาไทย"]


def ink(text):
    return np.asarray(fonts.mask(text, SIZE))


def same(a, b):
    return a.shape == b.shape and (a == b).all()


def boxes(path):
    """What Matplotlib draws of characters that a font does not have."""
    face = font_manager.get_font(path)
    face.set_size(SIZE, 72)
    for char in "\uffff\U000f0000":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            face.set_text(char)
        face.draw_glyphs_to_bitmap(antialiased=True)
        yield np.array(face.get_image())


def install(monkeypatch, paths):
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, paths)))
    fonts._installed.cache_clear()
    fonts._system_fonts.cache_clear()
    fonts._noted.clear()


@pytest.fixture(autouse=True)
def forget():
    yield
    fonts._installed.cache_clear()
    fonts._system_fonts.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch):
    install(monkeypatch, [])


@pytest.fixture
def painted(monkeypatch, tmp_path):
    """Installs fonts of these names; each character is a slab of its own height."""

    def paint(**characters):
        heights = itertools.count(200, 75)
        for name, chars in characters.items():
            path = tmp_path / f"{name}.ttf"
            glyphs = {".notdef": slab(100)}
            glyphs |= {f"u{ord(c):X}": slab(next(heights)) for c in chars}
            builder = fontBuilder.FontBuilder(1000)
            builder.setupGlyphOrder(list(glyphs))
            builder.setupCharacterMap({ord(char): f"u{ord(char):X}" for char in chars})
            builder.setupGlyf(glyphs)
            builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
            builder.setupHorizontalHeader(ascent=800, descent=-200)
            builder.setupNameTable({"familyName": name, "styleName": "Regular"})
            builder.setupOS2()
            builder.setupPost()
            builder.save(path)
        install(monkeypatch, sorted(tmp_path.glob("*.ttf")))

    return paint


def slab(height):
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, height), (900, height), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()


def assert_drawn(text):
    """Every character is drawn, unlike all others, and none as a box."""
    assert fonts.drawable(text).text == unicodedata.normalize("NFC", text)
    letters = {c for c in text if not unicodedata.category(c).startswith(("M", "Z"))}
    drawn = {char: ink(char) for char in letters}
    for one, other in itertools.combinations(drawn, 2):
        assert not same(drawn[one], drawn[other]), (one, other)
    for path in fonts.drawable(text).fonts:
        for box in boxes(path):
            assert not [char for char, mask in drawn.items() if same(mask, box)]
    assert ink(text).max() > 200


@pytest.mark.parametrize("name", BROUGHT)
def test_accents_greek_cyrillic_and_arabic_need_no_font_of_the_system(name, no_fonts):
    assert_drawn(name)


@pytest.mark.parametrize("name", OF_THE_SYSTEM)
def test_other_scripts_are_drawn_where_the_system_has_a_font(name):
    if not shutil.which("fc-list"):
        pytest.skip("no fc-list to ask which fonts there are")
    codes = " ".join(sorted({f"{ord(char):x}" for char in name}))
    listed = subprocess.run(
        ["fc-list", f":scalable=true:charset={codes}"], capture_output=True, check=True
    )
    if not listed.stdout:
        pytest.skip(f"this system has no font for {name}")
    assert_drawn(name)


@pytest.mark.parametrize(
    ("installed", "text", "chosen"),
    [
        ({"Some": "浮世", "All": "浮世絵"}, "浮世絵", ["All"]),
        ({"Kanji": "浮世絵", "Thai": "ไทย"}, "浮世絵 ไทย é", ["Kanji", "Thai"]),
        (
            {"A-Bold": "浮世絵", "ASerif": "浮世絵", "Sans": "浮世絵"},
            "浮世絵",
            ["Sans"],
        ),
        ({"LastResort": "浮世絵", "Tofu": "浮世絵"}, "浮世絵", ["Tofu"]),
        ({"Sans": "浮世絵é"}, "é", []),
    ],
)
def test_few_and_plain_fonts_are_chosen(installed, text, chosen, painted):
    painted(**installed)
    assert fonts.families([text]) == ["DejaVu Sans", *chosen]
    assert_drawn(text)


def test_a_file_that_is_no_font_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    install(monkeypatch, [tmp_path / "broken.ttf", tmp_path / "gone.ttf"])
    assert fonts.drawable("浮").text == "?"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("浮世絵 ukiyo-e Café", "??? ukiyo-e Café"),
        ("हिन्दी", "???"),  # marks have no places of their own
        ("Ｐａｕｌ", "Paul"),
        ("a\0b", "ab"),
        ("a\udcffb", "a?b"),
        ("two\nlines", "two\nlines"),
        ("Cafe\u0301", "Café"),
    ],
)
def test_without_a_font_there_is_text_still(text, wanted, no_fonts):
    assert fonts.drawable(text).text == wanted
    assert same(ink(text), ink(wanted))


def test_one_warning_names_the_remedy(no_fonts, caplog):
    with caplog.at_level(logging.WARNING):
        for text in ("Łódź", "a\0b", "a\udcffb", "浮世絵", "ไทย", "浮世絵"):
            fonts.mask(text, SIZE)
    (record,) = caplog.records
    assert "世 浮 絵" in record.message and "fonts-noto-cjk" in record.message


@pytest.mark.parametrize("anchor", ["lm", "mm", "rm", "mb", "rb"])
@pytest.mark.parametrize("text", ["Impressionism", "gypsy…", ""])
def test_ascii_is_what_pillow_draws(text, anchor):
    ours, pillows = (Image.new("RGB", (200, 40), "white") for _ in range(2))
    at, font = (100, 20), ImageFont.load_default(SIZE)
    fonts.write(ImageDraw.Draw(ours), at, text, "navy", SIZE, anchor)
    ImageDraw.Draw(pillows).text(at, text, "navy", font, anchor=anchor)
    np.testing.assert_array_equal(ours, pillows)
    assert fonts.width(text, SIZE) == font.getlength(text)


def test_ascii_does_not_wait_for_matplotlib():
    code = (
        "import sys; from PIL import Image; from jaxart import fonts; "
        "from jaxart.saliency import render; fonts.mask('baroque', 13); "
        "render.sheet([([Image.new('RGB', (9, 9))], 'a caption ' * 99)]); "
        "assert not {'jax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("text", [*BROUGHT, "Ünlü gypsy", "浮世絵"])
@pytest.mark.parametrize("anchor", ["lm", "mm", "rm", "mb", "rb"])
def test_the_anchor_says_where_a_name_stands(text, anchor, no_fonts):
    """Within a pixel or two, as letters have bearings."""
    picture = Image.new("RGB", (300, 60))
    fonts.write(ImageDraw.Draw(picture), (150, 30), text, "white", SIZE, anchor)
    left, top, right, bottom = picture.getbbox()
    width = fonts.width(text, SIZE)
    assert abs(right - left - width) <= 4
    middle = 150 + {"l": width / 2, "m": 0, "r": -width / 2}[anchor[0]]
    assert abs((left + right) / 2 - middle) <= 2
    if anchor[1] == "b":
        assert bottom == 30
    else:
        assert top < 30 < bottom and abs((top + bottom) / 2 - 30) <= 4


@pytest.mark.skipif(
    tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 11),
    reason="Matplotlib joins and orders letters from 3.11 on",
)
def test_arabic_is_joined_and_from_right_to_left():
    assert fonts.width("ببب", SIZE) < 0.9 * 3 * fonts.width("ب", SIZE)
    # Alif, a tall stroke, is the first letter: the right one.
    tall = (ink("اب")[:4] > 100).any(axis=0)
    assert tall[len(tall) // 2 :].any() and not tall[: len(tall) // 2].any()


def test_a_line_is_read_from_the_left_whatever_it_begins_with():
    line, end = ink("بب: cubism é"), ink("cubism é")
    columns = line[:, -end.shape[1] :].any(axis=0)
    np.testing.assert_array_equal(columns, end.any(axis=0))
