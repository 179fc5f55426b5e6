"""An --out whose name is long: it works, or is refused before the work."""

import pytest

from tests.report.conftest import make_run

LONGEST = 255  # bytes, on nearly all file systems

WORK = {
    "predict --workdir={run} --images={images} --out={out}": (".csv", 246),
    "saliency --workdir={run} --images={images} --save=npy --out={out}": ("", 255),
    "export --workdir={run} --out={out}": (".npy", 255),
    "export --workdir={run} --out={out} ": (".stablehlo", 250),
    "report {run} --out={out}": (".html", 255),
    "class_model --workdir={run} --class=cubism --steps=2 --out={out}": (".png", 255),
    "wikiart curate --src={images} --split=random --out={out}": ("", 249),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.mark.parametrize(
    ("words", "suffix", "longest"), [(words, *rest) for words, rest in WORK.items()]
)
def test_a_long_name(words, suffix, longest, run, paintings, run_command, tmp_path):
    def command(length):
        out = tmp_path / f"{'n' * (length - len(suffix))}{suffix}"
        places = {"run": run, "images": paintings, "out": out}
        return run_command(*(word.format(**places) for word in words.split()))

    assert command(longest)[0] == 0
    there = set(tmp_path.iterdir())
    status, printed, said = command(longest + 1)
    assert (status, printed) == (1, "") and said.count("\n") == 1
    assert "its name has 256 bytes" in said or "File name too long" in said
    assert set(tmp_path.iterdir()) == there


def test_maps_of_pictures_with_long_names(run, paintings, run_command, tmp_path):
    folder = tmp_path / "pictures" / ("é" * 127)
    folder.mkdir(parents=True)
    picture = next(paintings.rglob("*.png"))
    (folder / f"{'n' * 251}.png").write_bytes(picture.read_bytes())
    status, _, _ = run_command(
        *("saliency", f"--workdir={run}", f"--images={tmp_path / 'pictures'}"),
        *("--save=npy,overlay,sheet", f"--out={tmp_path / 'maps'}"),
    )
    assert status == 0 and len(list((tmp_path / "maps").rglob("*.npy"))) == 1
