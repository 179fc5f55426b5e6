"""Lists, CSV files and folders give the same examples; bad ones say where."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.data.examples import Examples, read, split
from jaxart.data.lists import DataError


@pytest.fixture
def write(tmp_path):
    """Writes a file, bytes as they are and text as UTF-8; returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def paint(tmp_path):
    """Writes one-pixel pictures under `tmp_path`."""

    def paint(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1)).save(path)

    return paint


def pairs(examples):
    return list(zip(examples.names, examples.labels.tolist(), strict=True))


# --- List files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(
            "a.jpg 0\nb/c.jpg 2\n", [("a.jpg", 0), ("b/c.jpg", 2)], id="plain"
        ),
        pytest.param("a.jpg 1", [("a.jpg", 1)], id="no newline at the end"),
        pytest.param("a.jpg 0\r\nb.jpg 1\r\n", [("a.jpg", 0), ("b.jpg", 1)], id="CRLF"),
        pytest.param(
            "\n\na.jpg 0\n  \n\t\nb.jpg 1\n\n", [("a.jpg", 0), ("b.jpg", 1)], id="blank"
        ),
        pytest.param(
            "the starry night.jpg 0\nv. gogh/1 2 3.jpg 1\n",
            [("the starry night.jpg", 0), ("v. gogh/1 2 3.jpg", 1)],
            id="spaces",
        ),
        pytest.param(
            "a b.jpg\t2\nc.jpg \t 0\n", [("a b.jpg", 2), ("c.jpg", 0)], id="tab"
        ),
        pytest.param("  a.jpg 0  \n", [("a.jpg", 0)], id="spaces around"),
        pytest.param("\ufeffa.jpg 0\n", [("a.jpg", 0)], id="byte-order mark"),
        pytest.param(
            "Dürer/Mädchen.jpg 0\n北斎/波.jpg 1\n",
            [("Dürer/Mädchen.jpg", 0), ("北斎/波.jpg", 1)],
            id="UTF-8",
        ),
        pytest.param("a.jpg 1\na.jpg 0\n", [("a.jpg", 1), ("a.jpg", 0)], id="twice"),
    ],
)
def test_list_file(write, tmp_path, content, wanted):
    found = read(write("list.txt", content), num_classes=3)
    assert pairs(found) == wanted
    assert found.labels.dtype == np.int32
    assert found.class_names == ("0", "1", "2")
    assert found.paths == [tmp_path / name for name, _ in wanted]


def test_names_as_labels_are_numbered_in_sorted_order(write):
    found = read(
        write("list.txt", "a.jpg cubism\nb.jpg baroque\nc.jpg cubism\n"), num_classes=2
    )
    assert found.class_names == ("baroque", "cubism")
    assert pairs(found) == [("a.jpg", 1), ("b.jpg", 0), ("c.jpg", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a.jpg 0\n\nb.jpg 3\n",
            r"list.txt:3: label '3' is none of the indices 0 to 2$",
        ),
        (
            "a.jpg 0\nb.jpg -1\n",
            r"list.txt:2: label '-1' is none of the indices 0 to 2$",
        ),
        ("a.jpg -1\n", r"list.txt:1: label '-1' is none of the indices 0 to 2$"),
        ("a.jpg 0\nb.jpg\n", r"list.txt:2: 'b.jpg' has no label \(a list has `path l"),
        # A misspelt label is no class of its own.
        ("a 0\nb 1\nc 2\nd O\n", r"list.txt:4: label 'O', but '0' at .*list.txt:1"),
        ("a pop\nb 1\nc 2\n", r"list.txt:2: label '1', but 'pop' at .*list.txt:1"),
        # As many labels as classes, and yet not the classes.
        ("a -1\nb 0\nc 1\n", r"list.txt:1: label '-1' is none of"),
        # A path that holds a space is no path with a label.
        ("a.jpg 0\nmy b.jpg\n", r"list.txt:2: 'my b.jpg' has no label"),
        ("", "list.txt: names no images"),
        ("\n \r\n", "list.txt: names no images"),
        (b"a.jpg 0\nb\xff.jpg 1\n", "list.txt: not a UTF-8 text file"),
        ("a.jpg 0\n".encode("utf-16-le"), "list.txt: not a UTF-8 text file"),
    ],
)
def test_bad_list_file_says_where(write, content, message):
    with pytest.raises(DataError, match=message):
        read(write("list.txt", content), num_classes=3)


def test_image_root_and_absolute_paths(write, tmp_path):
    source = write("lists/train.txt", "a.jpg 0\n/data/b.jpg 1\n../c.jpg 1\n")
    beside = read(source, num_classes=2)
    assert [str(path) for path in beside.paths] == [
        f"{tmp_path}/lists/a.jpg",
        "/data/b.jpg",
        f"{tmp_path}/lists/../c.jpg",
    ]
    rooted = read(source, num_classes=2, image_root=Path("/art"))
    assert [str(path) for path in rooted.paths] == [
        "/art/a.jpg",
        "/data/b.jpg",
        "/art/../c.jpg",
    ]
    assert rooted.names == beside.names == ("a.jpg", "/data/b.jpg", "../c.jpg")


# --- classes.txt ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "0 pop art\n1 baroque\n",
        "1 baroque\n0 pop art\n",
        "\ufeff0\tpop art\r\n\r\n1\tbaroque\r\n",
        " 0  pop art \n 1  baroque",
    ],
)
def test_classes_beside_the_list_name_the_indices(write, content):
    write("classes.txt", content)
    found = read(write("list.txt", "a.jpg 1\n"), num_classes=2)
    assert found.class_names == ("pop art", "baroque")
    assert pairs(found) == [("a.jpg", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 a\none b\n", "classes.txt:2: 'one b' is not `index name`"),
        ("0 a\n\n1\n", "classes.txt:3: '1' is not `index name`"),
        ("baroque\n", "classes.txt:1: 'baroque' is not `index name`"),
        ("1 a\n2 b\n", "classes.txt: the indices are not 0, 1, 2 and so on"),
        ("0 a\n2 b\n", "classes.txt: the indices are not 0, 1, 2 and so on"),
        ("0 a\n0 b\n1 c\n", "classes.txt: the indices are not 0, 1, 2 and so on"),
        (
            "0 a\n1 b\n2 c\n",
            r"has 3 classes \(a, b, c\), but num_classes is 2; "
            r"set --config.num_classes=3",
        ),
        ("\n", "classes.txt: the indices are not 0, 1, 2 and so on"),
        (b"0 \xe9\n", "classes.txt: not a UTF-8 text file"),
    ],
)
def test_bad_classes_file_says_what(write, content, message):
    write("classes.txt", content)
    with pytest.raises(DataError, match=message):
        read(write("list.txt", "a.jpg 1\n"), num_classes=2)


# --- Validation data in the training data's classes -----------------------------------


def test_names_follow_the_training_classes(write):
    # Alphabetically 'pop' would be 1; trained as 2.
    found = read(
        write("val.txt", "a.jpg pop\nb.jpg baroque\n"),
        num_classes=3,
        class_names=("baroque", "cubism", "pop"),
    )
    assert pairs(found) == [("a.jpg", 2), ("b.jpg", 0)]
    assert found.class_names == ("baroque", "cubism", "pop")


@pytest.mark.parametrize(
    ("label", "beside", "class_names", "are_indexed", "wanted"),
    [
        pytest.param("1", "", ("x", "y"), True, 1, id="counted as training did"),
        pytest.param("1.0", "0 x\n1 y\n", ("x", "y"), True, 1, id="as pandas writes"),
        pytest.param("0", "0 y\n1 x\n", ("x", "y"), False, 1, id="by its own names"),
        pytest.param("0", "0 y\n1 x\n", ("x", "y"), True, 1, id="in another order"),
        pytest.param("1", "0 y\n1 x\n", ("0", "1"), True, 1, id="without names there"),
        pytest.param("1600.0", "", ("1500", "1600"), False, 1, id="names are numbers"),
        pytest.param("2", "", ("2.0", "10.0"), False, 0, id="names with decimals"),
    ],
)
def test_indices_mean_the_classes_that_they_meant_in_training(
    write, label, beside, class_names, are_indexed, wanted
):
    if beside:
        write("classes.txt", beside)
    source = write("val.csv", f"path,label\na.jpg,{label}\n")
    found = read(source, class_names=class_names, are_indexed=are_indexed)
    assert found.labels.tolist() == [wanted]
    assert found.class_names == class_names


@pytest.mark.parametrize(
    ("label", "beside", "class_names", "are_indexed", "message"),
    [
        ("1", "", ("x", "y"), False, "indices, and the training data has names: write"),
        ("1", "0 x\n1 z\n", ("x", "y"), False, "'1' is none of the indices whose name"),
        ("x", "", ("0", "1"), True, "none of 0, 1; the training list has indices: a c"),
    ],
)
def test_indices_that_may_mean_anything_are_refused(
    write, label, beside, class_names, are_indexed, message
):
    if beside:
        write("classes.txt", beside)
    with pytest.raises(DataError, match=message):
        read(
            write("val.txt", f"a.jpg {label}\n"),
            class_names=class_names,
            are_indexed=are_indexed,
        )


def test_numbers_with_decimals_are_the_same_classes_in_both_lists(write):
    lines = "".join(f"{i}.jpg,{i}.0\n" for i in range(12))
    train = read(write("train.csv", f"path,label\n{lines}"))
    assert train.are_indexed and train.labels.tolist() == [*range(12)]
    val = read(
        write("val.txt", "".join(f"{i}.jpg {i}\n" for i in range(12))),
        class_names=train.class_names,
        are_indexed=train.are_indexed,
    )
    assert val.labels.tolist() == [*range(12)]


def test_names_are_one_in_every_unicode_form(write, paint, tmp_path):
    composed, apart = "Caf\xe9", "Cafe\u0301"
    paint(f"train/{apart}/a.png")
    train = read(tmp_path / "train")
    assert train.class_names == (composed,)
    write("classes.txt", f"0 {apart}\n")
    for source in (f"a.png {composed}\n", f"a.png {apart}\n", "a.png 0\n"):
        found = read(write("val.txt", source), class_names=(composed,))
        assert found.labels.tolist() == [0]


def test_folders_follow_the_training_classes(paint, tmp_path):
    paint("pop/a.png")
    found = read(tmp_path, num_classes=2, class_names=("cubism", "pop"))
    assert pairs(found) == [("pop/a.png", 1)]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("val.txt", "a.jpg pop\nb.jpg rococo\n", "val.txt:2"),
        ("val.csv", "path,label\na.jpg,pop\nb.jpg,rococo\n", "val.csv:3"),
    ],
)
def test_a_class_that_was_not_trained_is_refused(write, name, content, where):
    with pytest.raises(DataError, match=f"{where}: label 'rococo' is none of pop, zen"):
        read(write(name, content), num_classes=2, class_names=("pop", "zen"))


def test_a_folder_that_was_not_trained_is_refused(paint, tmp_path):
    paint("pop/a.png", "rococo/b.png")
    with pytest.raises(DataError, match="rococo: label 'rococo' is none of pop, zen"):
        read(tmp_path, num_classes=2, class_names=("pop", "zen"))


# --- CSV files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param("path,label\na b.jpg,1\n", [("a b.jpg", 1)], id="plain"),
        pytest.param("label,path\n1,a.jpg\n", [("a.jpg", 1)], id="other order"),
        pytest.param(
            'path,label\n"Still life, 1889.jpg",0\n"say ""hi"".jpg",1\n',
            [("Still life, 1889.jpg", 0), ('say "hi".jpg', 1)],
            id="quoted",
        ),
        pytest.param(
            "id,path,artist,label,year\n7,a.jpg,Klee,1,1914\n",
            [("a.jpg", 1)],
            id="more",
        ),
        pytest.param(
            "\ufeffpath,label\r\n\r\nä.jpg, 0 \r\n",
            [("ä.jpg", 0)],
            id="BOM, CRLF, blank",
        ),
        pytest.param("path,label\na.jpg,1\n,\n , \n", [("a.jpg", 1)], id="spreadsheet"),
        pytest.param("file,label\na.jpg,1\n", [("a.jpg", 1)], id="file"),
        pytest.param("path,label\ra.jpg,1\r", [("a.jpg", 1)], id="CR"),
    ],
)
def test_csv_file(write, content, wanted):
    assert pairs(read(write("list.CSV", content), num_classes=2)) == wanted


def test_csv_labels_may_be_names_with_spaces(write):
    content = "path,label\na.jpg,Pop Art\nb.jpg,Art Nouveau\n"
    found = read(write("list.csv", content), num_classes=2)
    assert found.class_names == ("Art Nouveau", "Pop Art")
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "name,label\na.jpg,0\n",
            "list.csv: needs a column path, .* or imagepath; it has name, label$",
        ),
        ("a.jpg,0,1\n", "needs a column path, .* or imagepath; it has a.jpg, 0, 1"),
        ("0,a.jpg\n", "needs a column path, .* or imagepath; it has 0, a.jpg"),
        ("", "list.csv: needs a column path, .* or imagepath; it has none"),
        ("path,label\n", "list.csv: names no images"),
        ("path,label\na.jpg,0\nb.jpg,\n", "list.csv:3: 'b.jpg' has no label"),
        ("path,label\na.jpg,0\nb.jpg\n", "list.csv:3: 'b.jpg' has no label"),
        ("path,label\na.jpg, \n", "list.csv:2: 'a.jpg' has no label"),
        ("path\na.jpg\n", "list.csv:2: 'a.jpg' has no label"),
        ("path,label\n,0\n", "list.csv:2: the path is empty"),
        (f"path,label\na.jpg,{'0' * 140_000}\n", "list.csv:2: field larger than"),
        ("path,label\na.jpg,0\nb.jpg,2\n", "list.csv:3: label '2' is none of the ind"),
    ],
)
def test_bad_csv_file_says_where(write, content, message):
    with pytest.raises(DataError, match=message):
        read(write("list.csv", content), num_classes=2)


def test_csv_without_header_and_with_classes_as_artgan_publishes_them(write):
    write("style_class.txt", "0 Baroque\n1 Pop_Art\n")
    source = write("style_train.csv", "Pop_Art/andy-warhol_a-b.jpg,1\n")
    found = read(source, num_classes=2)
    assert found.names == ("Pop_Art/andy-warhol_a-b.jpg",)
    assert found.labels.tolist() == [1]
    assert found.class_names == ("Baroque", "Pop_Art")


def test_names_may_hold_what_unicode_calls_a_line_end(write):
    name = "a/gr\x85goire_x\u2028y.jpg"
    for file in ("list.csv", "list.txt"):
        line = f"{name},0" if file == "list.csv" else f"{name} 0"
        assert read(write(file, line), num_classes=1).names == (name,)


# --- Folders --------------------------------------------------------------------------


def test_folder_of_class_folders(paint, write, tmp_path):
    paint("pop/b.png", "pop/A.PNG", "baroque/1600/x y.jpg", "baroque/a.webp")
    paint(".cache/a.png", "pop/.hidden.png", "pop/.thumbnails/a.png", "loose.png")
    write("pop/notes.txt", "no image")
    write("pop/album.png/notes.txt", "a folder called like an image")
    found = read(tmp_path, num_classes=2, image_root=Path("/elsewhere"))
    assert found.root == tmp_path
    assert found.class_names == ("baroque", "pop")
    assert pairs(found) == [
        ("baroque/1600/x y.jpg", 0),
        ("baroque/a.webp", 0),
        ("pop/A.PNG", 1),
        ("pop/b.png", 1),
    ]


def test_digits_as_folder_names_are_names_in_the_order_of_numbers(paint, tmp_path):
    paint("9/a.png", "10/b.png", "1st/c.png", "010/d.png")
    found = read(tmp_path, num_classes=4)
    assert found.class_names == ("9", "010", "10", "1st")
    assert not found.are_indexed
    assert pairs(found) == [
        *(("010/d.png", 1), ("10/b.png", 2), ("1st/c.png", 3), ("9/a.png", 0)),
    ]


def test_class_folder_without_images_is_named(paint, write, tmp_path):
    paint("pop/a.png")
    write("rococo/notes.txt", "to be scanned")
    with pytest.raises(DataError, match="rococo: a class folder without images"):
        read(tmp_path, num_classes=2)


def test_folder_without_class_folders_says_so(paint, tmp_path):
    paint("a.png", ".hidden/b.png")
    with pytest.raises(DataError, match="has no class folders"):
        read(tmp_path, num_classes=2)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_other_number_of_classes_says_what_to_set(paint, tmp_path, num_classes):
    paint("baroque/a.png", "pop/a.png")
    message = (
        rf"has 2 classes \(baroque, pop\), but num_classes is {num_classes}; "
        "set --config.num_classes=2"
    )
    with pytest.raises(DataError, match=message):
        read(tmp_path, num_classes=num_classes)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a.jpg pop\nb.jpg zen\n", ("pop", "zen")),
        ("a.jpg 1\nb.jpg 0\nc.jpg 2\n", ("0", "1", "2")),
    ],
)
def test_the_number_of_classes_is_read_where_nobody_says_it(write, content, names):
    assert read(write("list.txt", content)).class_names == names


def test_a_class_without_images_counts_where_it_has_a_name(write):
    write("classes.txt", "0 pop\n1 zen\n2 rococo\n")
    found = read(write("list.txt", "a.jpg 1\n"))
    assert found.class_names == ("pop", "zen", "rococo")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a.jpg 1\nb.jpg 2\n", "go up to 2, but no image has label 0.*num_classes=3"),
        ("a.jpg 0\nb.jpg 999999999999\n", "no image has label 1"),
        ("a.jpg 0\nb.jpg -1\n", "list.txt:2: label '-1' is none of the indices 0 to 0"),
        ("a.jpg -1\n", "list.txt:1: label '-1' is none of the indices 0 to 0"),
    ],
)
def test_indices_that_leave_out_a_class_are_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read(write("list.txt", content))


# --- Choosing -------------------------------------------------------------------------


def make_examples(tmp_path, counts):
    names = [f"{label}/{i}.jpg" for label, n in enumerate(counts) for i in range(n)]
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    class_names = tuple(str(i) for i in range(len(counts)))
    return Examples(tmp_path, tuple(names), labels, class_names)


def test_take_keeps_names_and_labels_together(tmp_path):
    taken = make_examples(tmp_path, [2, 1]).take(np.array([2, 0]))
    assert pairs(taken) == [("1/0.jpg", 1), ("0/0.jpg", 0)]
    assert taken.paths == [tmp_path / "1/0.jpg", tmp_path / "0/0.jpg"]
    assert pairs(taken.take(np.arange(0))) == []


def test_split_is_stratified_disjoint_and_complete(tmp_path):
    examples = make_examples(tmp_path, [50, 20, 10, 4])
    train, val = split(examples, 0.2, seed=0)
    # A fifth of each: 10, 4, 2 and round(0.8) = 1.
    assert np.bincount(val.labels).tolist() == [10, 4, 2, 1]
    assert np.bincount(train.labels).tolist() == [40, 16, 8, 3]
    assert sorted(pairs(train) + pairs(val)) == sorted(pairs(examples))
    assert train.class_names == val.class_names == examples.class_names
    # Not simply the first or the last ones.
    assert {name for name in val.names if name[0] == "0"} != {
        f"0/{i}.jpg" for i in range(10)
    }


def test_split_depends_on_names_and_seed_only(tmp_path):
    examples = make_examples(tmp_path, [30, 12])
    _, val = split(examples, 0.5, seed=3)
    for order_seed in range(3):
        order = np.random.default_rng(order_seed).permutation(42)
        _, shuffled_val = split(examples.take(order), 0.5, seed=3)
        assert set(pairs(shuffled_val)) == set(pairs(val))
    moved = examples._replace(root=tmp_path / "moved")
    assert split(moved, 0.5, seed=3)[1].names == val.names
    assert set(split(examples, 0.5, seed=4)[1].names) != set(val.names)


def test_split_keeps_the_order_of_the_list(tmp_path):
    examples = make_examples(tmp_path, [10, 10])
    for side in split(examples, 0.3, seed=0):
        positions = [examples.names.index(name) for name in side.names]
        assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("counts", "val_fraction"),
    # round(0.1 * 4) is 0 in each class; nothing; everything.
    [([4, 4], 0.1), ([9, 9], 0.0), ([9, 9], 1.0), ([1], 0.5)],
)
def test_split_with_an_empty_side_is_refused(tmp_path, counts, val_fraction):
    message = f"val_fraction={val_fraction} of {sum(counts)} images leaves one side"
    with pytest.raises(DataError, match=message):
        split(make_examples(tmp_path, counts), val_fraction, seed=0)


def test_class_folders_and_lists_in_an_object_store_are_those_here(
    write, paint, tmp_path, bucket
):
    paint("p/b/2.png", "p/b/c/1.png", "p/a b/3.png", "p/.h/4.png", "p/5.png")
    write("p/classes.txt", "0 zero\n1 one\n")
    write("p/list.txt", "b/2.png 1\na b/3.png 0\n")
    write("p/table.csv", "path,label\nb/2.png,x\na b/3.png,y\n")
    bucket.put_folder(tmp_path / "p", "p")
    for name in ("", "/list.txt", "/table.csv"):
        wanted = read(storage.path(f"{tmp_path}/p{name}"), num_classes=2)
        found = read(storage.path(f"{bucket.url}/p{name}"), num_classes=2)
        assert found.names == wanted.names and found.class_names == wanted.class_names
        np.testing.assert_array_equal(found.labels, wanted.labels)
        assert [*map(str, found.paths)] == [
            f"{bucket.url}/p/{name}" for name in wanted.names
        ]
