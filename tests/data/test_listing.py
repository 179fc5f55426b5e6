"""Which images a folder, a file or a list names, in which order, with which labels."""

from pathlib import Path

import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import listing
from jaxart.data.examples import DataError


def make(folder, *names):
    """Empty files: a listing looks at names alone."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- A folder, a file -----------------------------------------------------------------


def test_a_folder_is_searched_deep_and_its_folders_are_labels(tmp_path):
    make(
        tmp_path,
        *("top.jpg", "cats/b.PNG", "cats/a.jpeg", "dogs/deep/er/c.webp"),
        *("été/d é.gif", "cats/notes.txt", "cats/no suffix", "README"),
        *(".hidden.jpg", ".git/a.jpg", "cats/.cache/a.jpg", "cats/._a.jpg"),
    )
    (tmp_path / "folder.jpg").mkdir()
    found = listing.read(tmp_path)
    assert found == listing.Listing(
        tmp_path,
        ("cats/a.jpeg", "cats/b.PNG", "dogs/deep/er/c.webp", "top.jpg", "été/d é.gif"),
        ("cats", "cats", "dogs", "", "été"),
        are_names=True,
    )
    assert all((found.root / name).is_file() for name in found.names)


def test_a_hidden_folder_can_be_asked_for(tmp_path):
    assert listing.read(make(tmp_path / ".cache", "a.jpg")).names == ("a.jpg",)


def test_one_file(tmp_path):
    make(tmp_path, "a b.jpg", "c.jpg")
    found = listing.read(tmp_path / "a b.jpg", tmp_path / "elsewhere")
    assert found == listing.Listing(tmp_path, ("a b.jpg",), ("",))


def test_one_file_beside(tmp_path, monkeypatch):
    monkeypatch.chdir(make(tmp_path, "a.jpg"))
    assert listing.read(Path("a.jpg")) == listing.Listing(Path("."), ("a.jpg",), ("",))


# --- A list ---------------------------------------------------------------------------


def test_a_list_keeps_its_order_and_paths_may_hold_spaces(tmp_path):
    source = write(
        tmp_path / "list.txt",
        *("z.jpg", "", "  a b/c d.jpg  ", "a b/e f.jpg 12", "g.png\tred-fox"),
        *("my photo 3.JPG", "sub/no-suffix", "sub/no-suffix-2 owl"),
    )
    found = listing.read(source)
    assert found.root == tmp_path
    assert dict(zip(found.names, found.labels, strict=True)) == {
        "z.jpg": "",
        "a b/c d.jpg": "",
        "a b/e f.jpg": "12",
        "g.png": "red-fox",
        "my photo 3.JPG": "",
        "sub/no-suffix": "",
        "sub/no-suffix-2": "owl",
    }
    assert found.names[:2] == ("z.jpg", "a b/c d.jpg")


def test_a_csv_file_with_and_without_labels(tmp_path):
    source = write(
        tmp_path / "a.CSV",
        *("artist,label,path", 'Ann,Egyptian cat,"x, y.jpg"', "Ben,, b c.jpg "),
        *(",,", "Di,owl,d.jpg"),
    )
    assert listing.read(source) == listing.Listing(
        tmp_path, ("x, y.jpg", "b c.jpg", "d.jpg"), ("Egyptian cat", "", "owl")
    )
    for header in (["path"], ["file"], []):
        source = write(tmp_path / "b.csv", *header, "x.jpg", '"a b 3.jpg"')
        assert listing.read(source) == listing.Listing(
            tmp_path, ("x.jpg", "a b 3.jpg"), ("", "")
        )
    source = write(tmp_path / "c.tsv", "label\tpath", "pop, op\ta, b.jpg")
    assert listing.read(source)[1:3] == (("a, b.jpg",), ("pop, op",))


def test_an_image_that_is_listed_twice_comes_once_where_it_came_first(tmp_path):
    lines = "b.jpg owl", "a.jpg", "b.jpg cat", "a.jpg fox", "c.jpg"
    assert listing.read(write(tmp_path / "l.txt", *lines))[1:3] == (
        ("b.jpg", "a.jpg", "c.jpg"),
        ("owl", "", ""),
    )


# --- Fewer ----------------------------------------------------------------------------


def test_first():
    all_ = listing.Listing(Path("x"), ("a", "b", "c"), ("1", "2", ""))
    assert all_.first(2) == listing.Listing(Path("x"), ("a", "b"), ("1", "2"))
    assert all_.first(None) == all_.first(99) == all_


def test_an_output_folder_inside_is_left_out(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "out/heatmap/a.jpg.png", "out2/b.jpg", "c/out/d.jpg")
    found = listing.read(tmp_path)
    kept = ("a.jpg", "c/out/d.jpg", "out2/b.jpg")
    assert found.without(tmp_path / "out").names == kept
    assert found.without(tmp_path / "out").labels == ("", "c", "out2")
    assert found.without(tmp_path / "elsewhere") == found
    monkeypatch.chdir(tmp_path)
    for source, out in [(".", "out"), (".", "./out"), (tmp_path, "out")]:
        assert listing.read(Path(source)).without(Path(out)).names == kept
    with pytest.raises(DataError) as error:
        found.without(Path("."))
    assert str(error.value) == f"all images lie in {tmp_path}, the output folder"


@pytest.mark.parametrize("out", ["c/../out", "link/out"])
def test_an_output_folder_is_left_out_however_it_is_written(tmp_path, out):
    make(tmp_path / "in", "a.jpg", "c/d.jpg", "out/heatmap/a.jpg.png")
    if out == "link/out":
        (tmp_path / "link").symlink_to(tmp_path / "in")
        out = tmp_path / "link" / "out"
    else:
        out = tmp_path / "in" / "c" / ".." / "out"
    names = listing.read(tmp_path / "in").without(out).names
    assert names == ("a.jpg", "c/d.jpg")


# --- What cannot be used --------------------------------------------------------------


def test_errors_name_the_source(tmp_path):
    make(tmp_path, "empty/notes.txt", "blank.txt")
    for name, message in {
        "none": "no such folder, image or list file",
        "none.jpg": "no such folder, image or list file",
        "empty": "names no images",
        "blank.txt": "names no images",
    }.items():
        with pytest.raises(DataError) as error:
            listing.read(tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}: {message}"


def test_names_that_are_no_utf8_name_their_files(tmp_path):
    made = str(tmp_path).encode() + b"/caf\xe9.png"
    with open(made, "wb") as file:
        Image.new("RGB", (1, 1)).save(file, "PNG")
    found = listing.read(tmp_path)
    assert (found.root / found.names[0]).is_file()


# --- In an object store ---------------------------------------------------------------


@pytest.fixture
def there(bucket):
    """A bucket with images in folders, and what is none."""
    for key in ("b/2.png", "b/10.jpg", "b.x/1.png", "a.PNG", ".h/x.png", "b/t.txt"):
        bucket.put(f"pictures/{key}", b"")
    return bucket


def test_a_folder_there_is_in_the_order_of_one_here(there, tmp_path):
    make(tmp_path, "b/2.png", "b/10.jpg", "b.x/1.png", "a.PNG", ".h/x.png", "b/t.txt")
    found = listing.read(storage.path(f"{there.url}/pictures/"))
    wanted = listing.read(tmp_path)
    assert found.names == wanted.names == ("a.PNG", "b/10.jpg", "b/2.png", "b.x/1.png")
    assert found.labels == wanted.labels
    assert str(found.paths[1]) == f"{there.url}/pictures/b/10.jpg"


def test_lists_there_and_here_name_images_there_and_here(there, tmp_path):
    url = f"{there.url}/pictures/a.PNG"
    there.put("lists/l.txt", f"x.png one\n{url} two\n/y.png\n".encode())
    source, root = storage.path(f"{there.url}/lists/l.txt"), storage.path(there.url)
    found = listing.read(source)
    assert found.names == ("x.png", url, "/y.png")
    assert found.labels == ("one", "two", "")
    assert [*map(str, found.paths)] == [f"{there.url}/lists/x.png", url, "/y.png"]
    found = listing.read(source, root / "pictures")
    assert str(found.paths[0]) == f"{there.url}/pictures/x.png"

    source = write(tmp_path / "l.txt", url, "x.png")
    assert [*map(str, listing.read(source).paths)] == [url, str(tmp_path / "x.png")]
    (path,) = listing.read(storage.path(url)).paths
    assert str(path) == url


def test_what_is_not_there_is_named(there):
    with pytest.raises(DataError, match=r"s3://.*/none: no such folder, image or list"):
        listing.read(storage.path(f"{there.url}/none"))


def test_the_output_folder_there_is_left_out(there, tmp_path):
    found = listing.read(storage.path(f"{there.url}/pictures"))
    kept = found.without(storage.path(f"{there.url}/pictures/b"))
    assert kept.names == ("a.PNG", "b.x/1.png")
    assert found.without(tmp_path) == found
    with pytest.raises(DataError, match="all images lie in s3://"):
        found.without(storage.path(there.url))
