"""The files of an image: where they lie, how large they are, what they show."""

import concurrent.futures
import os
import posixpath

import numpy as np
import pytest
from PIL import Image

from jaxart.saliency import choices, pictures, render
from jaxart.saliency.pictures import Look, save_map, write_sheets

KINDS = ("overlay", "heatmap", "npy")
PAGE = {"thumbnail", "picture", "map"}
TABLE = render.color_table("auto", signed=False)
LOOK = Look(TABLE, False, "antialias")

NAMES = (
    *("a.jpg", "a.png", "a.jpeg", "a", "b/a.jpg", "a.jpg.png", "b/a.jpg.jpg"),
    *("../a.jpg", "../../a.jpg", "../b/a.jpg", "/a.jpg", "/b/a.jpg", "/tmp/x/a.jpg"),
    *("c/../../x/a.jpg", ".../a.jpg", "..a.jpg", "~/a.jpg", "été/日本.jpg", "A.JPG"),
    *("a b#?%&.jpg", "C:\\a.jpg", "npy/a.jpg", "gallery/map/a.jpg", "-rf.jpg"),
)


def file_names(name, kinds):
    """Of an image and its only map."""
    of_map = pictures.file_names(name, kinds, "")
    return pictures.file_names(name) | of_map


def draw(picture, values, limit, look, paths):
    """An image and its only map."""
    image = Image.fromarray(picture)
    pictures.draw_map(image, values, limit, look, paths)
    pictures.draw_picture(image, paths)


# --- Where they lie -------------------------------------------------------------------


def test_files_mirror_the_input():
    assert file_names("a/b c.jpg", KINDS) == {
        "overlay": "overlay/a/b c.jpg.jpg",
        "heatmap": "heatmap/a/b c.jpg.png",
        "npy": "npy/a/b c.jpg.npy",
        "thumbnail": "gallery/thumbnail/a/b c.jpg.jpg",
        "picture": "gallery/picture/a/b c.jpg.jpg",
        "map": "gallery/map/a/b c.jpg.jpg",
    }
    assert file_names("a.jpg", ()).keys() == PAGE


@pytest.mark.parametrize("name", NAMES)
def test_no_file_leaves_the_output_folder(tmp_path, name):
    for kind, file in file_names(name, KINDS).items():
        folder = f"gallery/{kind}/" if kind in PAGE else f"{kind}/"
        assert posixpath.normpath(file) == file
        assert file.startswith(folder) and ".." not in file.split("/")
        assert tmp_path in (tmp_path / file).resolve().parents


def test_no_two_images_share_a_file():
    files = [file for name in NAMES for file in file_names(name, KINDS).values()]
    assert len(files) == len(set(files)) == 6 * len(NAMES)


@pytest.mark.parametrize(
    ("one", "other"), [("../a.jpg", "_up/a.jpg"), ("/a.jpg", "_root/a.jpg")]
)
def test_what_stands_for_another_folder_is_no_folders_name(one, other):
    assert file_names(one, KINDS)["npy"] != file_names(other, KINDS)["npy"]


# --- What is drawn --------------------------------------------------------------------


def paths_of(out, name, kinds):
    return {kind: out / file for kind, file in file_names(name, kinds).items()}


def gradient_picture(width, height):
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (height, width, 3)).copy()


def written(out):
    return {path.relative_to(out).as_posix() for path in out.rglob("*.*")}


@pytest.mark.parametrize("kinds", [(), ("heatmap",), ("overlay",), KINDS])
def test_what_is_asked_for_is_written_and_no_more(tmp_path, kinds):
    picture = gradient_picture(50, 20)
    values = np.ones((8, 8), np.float32)
    draw(picture, values, 1.0, LOOK, paths_of(tmp_path, "a/b.jpg", kinds))
    wanted = file_names("a/b.jpg", set(kinds) - {"npy"}).values()  # `save_map` does
    assert written(tmp_path) == set(wanted)


@pytest.mark.parametrize(
    ("size", "picture", "thumbnail"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((50, 20), (50, 20), (50, 20)),
        ((300, 1000), (300, 1000), (72, 240)),
        ((2048, 512), (1024, 256), (240, 60)),
        ((3000, 1), (1024, 1), (240, 1)),
    ],
)
def test_maps_have_the_pictures_own_size_and_the_page_small_ones(
    tmp_path, size, picture, thumbnail
):
    values = np.random.default_rng(0).uniform(0, 1, (8, 8)).astype(np.float32)
    paths = paths_of(tmp_path, "x.png", KINDS)
    draw(gradient_picture(*size), values, 1.0, LOOK, paths)
    sizes = {}
    for kind in ("heatmap", "overlay", *PAGE):
        with Image.open(paths[kind]) as image:
            image.load()
            sizes[kind] = image.size
            assert image.format == ("PNG" if kind == "heatmap" else "JPEG")
            assert image.mode == ("P" if kind == "heatmap" else "RGB")
    assert sizes == {
        "heatmap": size,
        "overlay": size,
        "picture": picture,
        "map": picture,
        "thumbnail": thumbnail,
    }


def levels_of(path):
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def test_a_heatmap_shows_the_maps_levels(tmp_path):
    # Shares of the limit 2: 0, 1/4, 1/2, 3/4, 1 and beyond; of 255.
    values = np.array([[0, 0.5, 1], [1.5, 2, 9], [-1, 0, 0]], np.float32)
    paths = paths_of(tmp_path, "x.png", KINDS)
    draw(np.zeros((3, 3, 3), np.uint8), values, 2.0, LOOK, paths)
    wanted = [[0, 64, 128], [191, 255, 255], [0, 0, 0]]
    assert levels_of(paths["heatmap"]).tolist() == wanted
    with Image.open(paths["heatmap"]) as image:
        colors = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(colors, TABLE[wanted])


def test_a_signed_map_has_its_zero_in_the_middle(tmp_path):
    look = Look(render.color_table("auto", signed=True), True, "antialias")
    values = np.array([[-2, 0, 2]], np.float32).repeat(3, axis=0)
    paths = paths_of(tmp_path, "x.png", KINDS)
    draw(np.zeros((3, 3, 3), np.uint8), values, 2.0, look, paths)
    assert levels_of(paths["heatmap"])[0].tolist() == [1, 128, 255]


@pytest.mark.parametrize("signed", [False, True])
def test_a_cropped_map_lies_where_the_crop_is(tmp_path, signed):
    # 256 x 512 seen by a network of 224: (16, 144) to (240, 368).
    look = Look(render.color_table("auto", signed), signed, "crop")
    paths = paths_of(tmp_path, "x.png", KINDS)
    ones = np.ones((224, 224), np.float32)
    draw(np.zeros((512, 256, 3), np.uint8), ones, 1.0, look, paths)
    wanted = np.full((512, 256), 128 if signed else 0)
    wanted[144:368, 16:240] = 255
    np.testing.assert_array_equal(levels_of(paths["heatmap"]), wanted)
    # The page's map lies there too: blurred by JPEG, the corners are the table's.
    with Image.open(paths["map"]) as image:
        found = np.array(image, int)
    assert np.abs(found[100, 8] - look.table[wanted[0, 0]]).max() < 20
    assert np.abs(found[256, 128] - look.table[255]).max() < 20


def test_an_overlay_leaves_the_picture_grey_where_the_map_is_zero(tmp_path):
    picture = np.full((16, 32, 3), (200, 100, 50), np.uint8)
    values = np.zeros((2, 2), np.float32)
    paths = paths_of(tmp_path, "x.png", KINDS)
    draw(picture, values, 0.0, LOOK, paths)
    with Image.open(paths["overlay"]) as image:
        found = np.array(image, int)
    # Grey is 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124; four fifths of the way.
    wanted = [124 + (c - 124) / 5 for c in (200, 100, 50)]
    assert np.abs(found - wanted).max() <= 6


def test_a_raw_map_is_kept_bit_for_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    path = tmp_path / "npy" / "a b" / "c.jpg.npy"
    for array in (values, -values):  # the second replaces the first
        save_map(array, path)
        found = np.load(path)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, array)
    assert written(tmp_path) == {"npy/a b/c.jpg.npy"}


# --- Sheets ---------------------------------------------------------------------------


def make_entries(out, count):
    for i in range(count):
        files = {kind: f"gallery/{kind}/{i}.jpg" for kind in ("picture", "map")}
        for kind, color in (("picture", (0, 0, 255)), ("map", (255, 0, 0))):
            pictures.save(Image.new("RGB", (64, 64), color), out / files[kind])
        yield {
            "path": f"folder/{i} é\udce9.jpg",
            "predicted_name": "red fox",
            "probability": 0.5,
            "files": {"picture": files["picture"]},
            "maps": [{"files": {"map": files["map"]}}],
        }


@pytest.mark.parametrize(
    ("count", "sheets"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3)]
)
def test_every_picture_is_on_one_sheet(tmp_path, count, sheets):
    write_sheets(tmp_path, make_entries(tmp_path, count))
    names = [f"{number + 1:04d}.jpg" for number in range(sheets)]
    assert sorted(path.name for path in tmp_path.glob("sheet/*")) == names
    red = blue = 0
    for name in names:
        with Image.open(tmp_path / "sheet" / name) as image:
            pixels = np.array(image, int)
        red += (np.abs(pixels - (255, 0, 0)).max(axis=2) < 40).sum()
        blue += (np.abs(pixels - (0, 0, 255)).max(axis=2) < 40).sum()
    side = 256
    assert red == pytest.approx(count * side**2, rel=0.03)
    assert blue == pytest.approx(count * side**2, rel=0.03)


class Once(list):
    """A list that is gone through once; a second time is an error."""

    def __iter__(self):
        assert not hasattr(self, "begun"), "the entries are begun again and again"
        self.begun = True
        return super().__iter__()


def test_entries_may_be_a_list(tmp_path):
    write_sheets(tmp_path, Once(make_entries(tmp_path, 2)))
    assert written(tmp_path / "sheet") == {"0001.jpg"}


def test_kinds_have_suffixes():
    assert set(pictures.SUFFIXES) | {"sheet"} == set(choices.KINDS)


# --- One file -------------------------------------------------------------------------


def noise(mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, len(mode)), np.uint8)
    return Image.fromarray(pixels)


def test_save_makes_folders_and_leaves_one_file(tmp_path):
    path = tmp_path / "a" / "b" / "picture.PNG"
    pictures.save(Image.new("RGB", (4, 3), "red"), path)
    pictures.save(noise(), path)  # over the first
    assert os.listdir(path.parent) == ["picture.PNG"]
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(image, noise())


@pytest.mark.parametrize("suffix", [".jpg", ".JPG"])
def test_jpeg_quality(tmp_path, suffix):
    pictures.save(noise(), tmp_path / f"found{suffix}")
    noise().save(tmp_path / "wanted.jpg", quality=90)
    with (
        Image.open(tmp_path / f"found{suffix}") as found,
        Image.open(tmp_path / "wanted.jpg") as wanted,
    ):
        assert found.quantization == wanted.quantization


def test_a_failed_save_leaves_what_was_there(tmp_path):
    path = tmp_path / "picture.jpg"
    with pytest.raises(OSError, match="RGBA"):  # JPEG has no transparency
        pictures.save(noise("RGBA"), path)
    assert not os.listdir(tmp_path)
    pictures.save(noise(), path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="RGBA"):
        pictures.save(noise("RGBA"), path)
    assert os.listdir(tmp_path) == ["picture.jpg"] and path.read_bytes() == before


def test_many_may_save_one_file_at_once(tmp_path):
    path = tmp_path / "picture.png"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: pictures.save(noise(), path), range(100)))
    assert os.listdir(tmp_path) == ["picture.png"]
    with Image.open(path) as image:
        np.testing.assert_array_equal(image, noise())


def test_a_save_that_cannot_be_renamed_leaves_nothing(tmp_path):
    (tmp_path / "picture.png" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        pictures.save(noise(), tmp_path / "picture.png")
    assert os.listdir(tmp_path) == ["picture.png"]
