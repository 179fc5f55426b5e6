"""What shares saw: kept line by line, and read as if one process had looked."""

from jaxart.curation import decoding
from jaxart.curation.paintings import Painting
from jaxart.curation.records import fill, read
from jaxart.data import fingerprints
from jaxart.data.images import ImageError

FOUND = [
    Painting(name, "x", "", "", "", "") for name in ("a.png", "b.png", "c.png", "a.png")
]


def test_each_file_is_looked_at_once_though_a_line_is_torn(paint, tmp_path):
    for name in ("a.png", "b.png"):
        paint(name, 0)
    (tmp_path / "src/c.png").write_text("text")
    looked = []

    def look(some):
        for painting in some:
            looked.append(painting.name)
            yield from decoding.look(tmp_path / "src", [painting])

    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    fill(one, FOUND, [0, 2], look)
    fill(two, FOUND, [1, 3], look)
    fill(two, FOUND, [1, 3], look)
    assert looked == ["a.png", "c.png", "b.png", "a.png"]
    two.write_bytes(two.read_bytes()[:-9])
    fill(two, FOUND, [1, 3], look)
    assert looked[4:] == ["a.png"]
    taken = read([one, two], FOUND)
    reason = taken.pop(2)
    assert isinstance(reason, ImageError)
    assert str(reason) == "not an image that Pillow reads"
    assert [picture.painting for picture in taken] == [FOUND[i] for i in (0, 1, 3)]
    for picture in taken:
        path = tmp_path / "src" / picture.painting.name
        assert picture.fingerprint == fingerprints.take(path)
