"""A download that is killed, again and again, ends as one that is not."""

import random
import subprocess
import sys
import time

import pytest

from tests import ROOT

TOOL = ROOT / "tools/wikiart.py"


@pytest.fixture
def command(site):
    """The command that fills a folder."""
    numbers = {"a": range(24), "b": range(20, 44)}
    for style, of_style in numbers.items():
        site.list_style(style, [site.paint(n) for n in of_style])
    for number in (3, 9, 22, 31):  # that of 22 is listed in both
        path = f"/images/artist/{number}.jpg!Large.jpg"
        site.answers[path][0].status = 404
    site.answers["/images/artist/12.jpg!Large.jpg"][0].body = b"no picture"

    def command(out):
        flags = f"--styles=a,b --per_style=20 --delay=0.01 --base_url={site.url}"
        return [sys.executable, TOOL, "download", *flags.split(), f"--out={out}"]

    return command


def tree(out):
    return {
        path.relative_to(out): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.slow
def test_kills_change_nothing(site, command, tmp_path):
    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    num_requests = len(site.log)
    assert num_requests == len(set(site.paths()))
    site.log.clear()

    rng = random.Random(0)
    num_kills = 0
    for _ in range(6):
        target = len(site.log) + rng.randrange(1, num_requests // 5)
        process = subprocess.Popen(
            command(tmp_path / "killed"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(site.log) < target and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        num_kills += process.poll() is None
        process.kill()
        process.wait()
    assert num_kills
    subprocess.run(command(tmp_path / "killed"), check=True, capture_output=True)

    # A kill may come between the server's last byte and the client's renaming.
    assert len(site.whole()) <= len(set(site.whole())) + num_kills
    assert len(site.log) <= num_requests + num_kills
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
