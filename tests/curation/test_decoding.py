"""Every file once: what is sound, and what is not."""

from PIL import Image

from jaxart.curation.decoding import decode, look, sort_out
from jaxart.curation.paintings import Painting
from jaxart.data import fingerprints


def test_sound_files_get_fingerprints_and_others_reasons(paint, tmp_path):
    paint("a.png", 0)
    paint("b.png", 1)
    (tmp_path / "src/c.png").write_text("text")
    found = [
        Painting(name, "x", artist, "", "", "")
        for name, artist in (
            ("c.png", ""),
            ("b.png", "Ann B"),
            ("d.png", ""),
            ("a.png", ""),
        )
    ]
    seen = []
    taken = look(
        tmp_path / "src",
        found,
        also=lambda image, picture: seen.append((image, picture)),
    )
    pictures, unreadable = sort_out(found, taken)
    assert decode(tmp_path / "src", found) == (pictures, unreadable)
    assert [p.painting.name for p in pictures] == ["b.png", "a.png"]
    assert pictures[0].artist == "ann b"
    assert pictures[0].fingerprint == fingerprints.take(tmp_path / "src/b.png")
    assert unreadable == [
        ("c.png", "x", "not an image that Pillow reads"),
        ("d.png", "x", "No such file or directory"),
    ]
    assert sorted(p.painting.name for _, p in seen) == ["a.png", "b.png"]
    assert all(isinstance(image, Image.Image) for image, _ in seen)
