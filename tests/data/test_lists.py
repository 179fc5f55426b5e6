"""Lists and tables as people and programs write them: read right, or refused."""

import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import lists
from jaxart.data.lists import DataError


@pytest.fixture
def read(tmp_path):
    """The (name, label) pairs of a list with this content, beside these files."""

    def read(content, *there, name="list.txt"):
        for path in there:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        source = tmp_path / name
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [row[:2] for row in lists.read(source)[1]]

    return read


A, B = ("a b.jpg", "Pop Art"), ("c.png", "3")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a b.jpg Pop Art", A),
        ("a b.jpg\tPop Art", A),
        ("a b.jpg\t\t Pop Art", A),
        ('"a b.jpg" Pop Art', A),
        ("'a b.jpg'\t\"Pop Art\"", A),
        ('a b.jpg "Pop Art"', A),
        ("A b.JPG Pop Art", ("A b.JPG", "Pop Art")),
        ("a.jpg b.jpg 3", ("a.jpg b.jpg", "3")),
        ("a.jpg b.jpg", ("a.jpg b.jpg", "")),
        ("my photo.heic", ("my photo.heic", "")),
        ("my photo.heic Op Art", ("my photo.heic", "Op Art")),
        ('"Untitled" (1960).jpg 3', ('"Untitled" (1960).jpg', "3")),
        ("no suffix 3", ("no suffix", "3")),
        ("a.jpg!Large Pop Art", ("a.jpg!Large Pop", "Art")),
        (r"pop\a b.jpg 3", ("pop/a b.jpg", "3")),
        ("Caf\u00e9.jpg Cafe\u0301", ("Caf\u00e9.jpg", "Caf\u00e9")),
    ],
)
def test_a_line_is_a_path_and_a_label(read, line, wanted):
    assert read(f"{line}\n") == [wanted]


@pytest.mark.parametrize(
    ("line", "there", "wanted"),
    [
        ("a.jpg!Large Pop Art", "a.jpg!Large", ("a.jpg!Large", "Pop Art")),
        (r"pop\a.jpg 3", r"pop\a.jpg", (r"pop\a.jpg", "3")),
        ("#1.jpg 3", "#1.jpg", ("#1.jpg", "3")),
        ("# 1.jpg Pop Art", "# 1.jpg", ("# 1.jpg", "Pop Art")),
        ("Cafe\u0301.jpg 3", "Caf\u00e9.jpg", ("Caf\u00e9.jpg", "3")),
        ("Caf\u00e9.jpg 3", "Cafe\u0301.jpg", ("Cafe\u0301.jpg", "3")),
        ("path label", "path label", ("path", "label")),
    ],
)
def test_what_is_there_tells_how_a_line_is_meant(read, line, there, wanted):
    assert read(f"{line}\n", there) == [wanted]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    "content",
    [
        "a b.jpg Pop Art\nc.png 3\n",
        "# made by hand\n#d.jpg 4\n\npath label\na b.jpg Pop Art\n#\nc.png 3",
        "Path\tLabel\na b.jpg\tPop Art\nc.png\t3\n",
        "artist;Style;File name\nx;Pop Art;a b.jpg\n;3;c.png\n",
        "filename class\na b.jpg Pop Art\nc.png 3",
    ],
)
def test_a_list_of_any_program(read, content, encoding):
    assert read(content.encode(encoding)) == [A, B]


@pytest.mark.parametrize("name", ["list.csv", "list.tsv"])
@pytest.mark.parametrize(
    "content",
    [
        "Path,Label\na b.jpg,Pop Art\nc.png,3\n",
        "style;image\nPop Art;a b.jpg\n3;c.png\n",
        "FILENAME\tclass\na b.jpg\tPop Art\nc.png\t3\n",
        "# made by hand, in 2024\n#path,label\na b.jpg,Pop Art\n# x,\nc.png,3,,\n",
        'path,label\n"a b.jpg","Pop Art"\n#d.jpg,4\nc.png,3\n',
        "image,path,label,class\nx,a b.jpg,Pop Art,1\ny,c.png,3,2\n",
        "a b.jpg;Pop Art\nc.png;3\n",
        "label,path\nPop Art,a b.jpg\n3,c.png\n# no image,\n",
    ],
)
def test_a_table_of_any_program(read, content, name):
    assert read(content, name=name) == [A, B]


def test_a_row_that_begins_with_a_hash_may_be_an_image(read):
    assert read("path,label\n#1.jpg,3\n", "#1.jpg", name="a.csv") == [("#1.jpg", "3")]
    assert read("label,path\n#art,1.jpg\n", name="a.csv") == [("1.jpg", "#art")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", "c.jpg 0\na.jpg,3\n", r"l.txt:2: 'a.jpg,3' has ',' after the path: "),
        ("l.txt", "a.jpg\tPop\t1960\n", "l.txt:1: .* is not a path, a tab and a label"),
        ("l.txt", "3\ta.jpg\n", "l.txt:1: .* is not a path, a tab and a label"),
        ("l.txt", "label path\n3 a.jpg\n", "l.txt:1: .*the path comes first in a list"),
        (
            "l.txt",
            "C:\\art\\a.jpg 3\n",
            "l.txt:1: .* is a path of Windows: write paths",
        ),
        (
            "l.txt",
            "\\\\nas\\a.jpg 3\n",
            "l.txt:1: .* is a path of Windows: write paths",
        ),
        ("l.csv", "path,label\nStill life, 1889.jpg,0\n", "l.csv:2: 3 cells for 2 col"),
        ("l.csv", "a.jpg,0\nStill life, 1889.jpg,0\n", "l.csv:2: 3 cells for 2 column"),
        (
            "l.csv",
            "path,class,style\na.jpg,0,1\n",
            "columns class and style is the lab",
        ),
        ("l.csv", "path,path\na.jpg,b.jpg\n", "columns path and path is the path"),
        ("l.csv", "name,label\na.jpg,0\n", "needs a column path, .*; it has name, lab"),
    ],
)
def test_what_could_mean_anything_is_refused(read, name, content, message):
    with pytest.raises(DataError, match=message):
        read(content, name=name)


# --- Folders --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, without_heif):
    """Pictures with and without an image's suffix, and other files."""
    painted = Image.new("RGB", (2, 2))
    for name in ("pop/a.jpg", "pop/b.jpg!Large", "pop/c", "op/d.PNG!Large"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        painted.save(tmp_path / name, "PNG")
    for name in ("notes.txt", "op/notes.txt", "pop/empty", ".hidden.txt"):
        (tmp_path / name).touch()
    painted.save(tmp_path / "op/raw.CR2", "TIFF")
    (tmp_path / "op/phone.heic").touch()
    (tmp_path / "op/gone.jpg").symlink_to("nowhere")
    return tmp_path


def test_other_files_are_counted_in_one_line_with_their_remedies(folder, caplog):
    caplog.set_level("INFO")
    assert [row.name for row in lists.read(folder)[1]] == ["pop/a.jpg"]
    assert caplog.messages == [
        f"{folder}: 9 other files passed over: without a suffix 2, .txt 2, .CR2 1, "
        ".PNG!Large 1, .heic 1, .jpg 1, .jpg!Large 1; .CR2: a camera's raw file is "
        "not read: develop it to TIFF or JPEG; .heic: HEIC is read by an extra: "
        "pip install 'jaxart[heif]'; any_suffix looks for pictures among them"
    ]


def test_pictures_without_a_suffix_are_told_by_their_content(folder):
    rows = lists.read(folder, any_suffix=True)[1]
    assert [row[:2] for row in rows] == [
        ("op/d.PNG!Large", "op"),
        ("pop/a.jpg", "pop"),
        ("pop/b.jpg!Large", "pop"),
        ("pop/c", "pop"),
    ]
    rows = lists.read(folder / "pop/c", any_suffix=True)[1]
    assert [row[:2] for row in rows] == [("c", "")]


def test_a_folder_in_an_object_store_is_looked_into_too(folder, bucket, caplog):
    (folder / "op/gone.jpg").unlink()
    bucket.put_folder(folder, "in")
    source = storage.path(f"{bucket.url}/in")
    for any_suffix in (False, True):
        there, here = (
            [row[:2] for row in lists.read(path, any_suffix=any_suffix)[1]]
            for path in (source, folder)
        )
        assert there == here
    assert "8 other files passed over" in caplog.text
