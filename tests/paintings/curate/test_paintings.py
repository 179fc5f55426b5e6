"""What is known of each picture, from lists, tables and file names."""

from pathlib import Path

import pytest

from jaxart.data.lists import DataError
from jaxart.paintings.curate.paintings import Painting, read


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_folder_of_class_folders_with_wikiart_names(write, tmp_path):
    write("cubism/pablo-picasso_head-1913.jpg", "")
    write("cubism/7.jpg", "")
    root, found = read(tmp_path)
    assert root == tmp_path
    name = "cubism/pablo-picasso_head-1913.jpg"
    assert found == [
        Painting("cubism/7.jpg", "cubism", "", "", "", "cubism/7.jpg"),
        Painting(name, "cubism", "pablo-picasso", "head-1913", "1913", name),
    ]


def test_metadata_in_the_folder_says_more_than_file_names(write, tmp_path):
    write("cubism/pablo-picasso_head-1913.jpg", "")
    write(
        "metadata.csv",
        "path,artist,title,year,source\n"
        "./cubism/pablo-picasso_head-1913.jpg,Pablo Picasso,Head,,https://x/1\n"
        "cubism/other.jpg,Nobody,,,\n",
    )
    _, found = read(tmp_path)
    assert found[0][1:] == ("cubism", "Pablo Picasso", "Head", "1913", "https://x/1")


def test_a_csv_list_may_say_more_itself(write):
    source = write("list.csv", "path,label,artist,year\na/1.jpg,x,Ann,1900\n")
    _, found = read(source)
    assert found[0][1:5] == ("x", "Ann", "", "1900")


def test_a_label_is_one_line(write):
    _, found = read(write("list.csv", 'path,label\na.jpg,"pop\n  art"\n'))
    assert found[0].label == "pop art"


def test_another_table_by_tabs_with_a_column_file(write, tmp_path):
    source = write("list.txt", "a/1.jpg 0\na/2.jpg 1\n")
    write("classes.txt", "0 baroque\n1 pop art\n")
    table = write("SOURCES.tsv", "file\tstyle\tartist\na/2.jpg\tx\twarhol-andy\n")
    _, found = read(source, metadata=table)
    assert [p.label for p in found] == ["baroque", "pop art"]
    assert [p.artist for p in found] == ["", "warhol-andy"]


def test_artgan_list_with_its_images_elsewhere(write, tmp_path):
    write("style_class.txt", "0 Baroque\n1 Art_Nouveau\n")
    name = "Art_Nouveau_Modern/gustav-klimt_judith(1).jpg"
    root, found = read(write("style_train.csv", f"{name},1\n"), Path("/images"))
    assert str(root) == "/images"
    assert found[0][:4] == (name, "Art_Nouveau", "gustav-klimt", "judith(1)")


def test_a_picture_under_two_labels_is_there_twice(write):
    _, found = read(write("list.csv", "path,label\na.jpg,x\na.jpg,y\n"))
    assert [(p.name, p.label) for p in found] == [("a.jpg", "x"), ("a.jpg", "y")]


def test_what_a_curated_folder_says_can_be_read_again(write, tmp_path):
    write("classes.txt", "0 baroque\n")
    source = write("train.txt", "images/baroque/a_b_0123.jpg 0\n")
    write(
        "metadata.csv",
        "path,label,style,artist,title,year,source,sha256,phash,split\n"
        "images/baroque/a_b_0123.jpg,0,baroque,Anna A.,B,1700,s,00,11,train\n",
    )
    _, found = read(source)
    assert found[0][1:] == ("baroque", "Anna A.", "B", "1700", "s")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"list.txt": "a.jpg 2\n", "classes.txt": "0 x\n"},
            "list.txt:1: label '2' is none of the indices 0 to 0",
        ),
        (
            {"list.txt": "a.jpg -1\n", "classes.txt": "0 x\n"},
            "label '-1' is none of the ind",
        ),
        (
            {"list.txt": "a.jpg x\n", "metadata.csv": "name,artist\na.jpg,b\n"},
            "metadata.csv: needs a column path, .*; it has name, artist",
        ),
        ({"list.txt": "a.jpg x\n", "metadata.csv": ""}, "metadata.csv: needs a column"),
    ],
)
def test_bad_tables_say_where(write, tmp_path, files, message):
    for name, content in files.items():
        write(name, content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "list.txt")


def test_missing_source_and_table_are_named(write, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder, image or list file"):
        read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        read(write("list.txt", "a.jpg x\n"), metadata=tmp_path / "nowhere.csv")
