"""From a picture that is dropped to its map: `python -m benchmarks.app`.

The explorer in headless Chromium, with gradients of AlexNet and VGG16 of random
weights, beside a forward pass and Captum's gradient of the same files (no page, no
pictures drawn); in turn, once all is compiled. Needs the extras app and bench, and
Chromium. Writes app.json into benchmarks/results.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine, material, report
from benchmarks.page import BROWSERS
from benchmarks.runner import ROOT, Side
from benchmarks.workloads import Call
from jaxart.cli import start

NETWORKS = ("alexnet", "vgg16")
PICTURES = 3  # that are dropped in a round
WAIT_MS = 300_000

CAPTION = "#shown figcaption"


def main(argv: list[str] | None = None) -> None:
    """Measures both networks, and writes what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.app", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=5)
    report.add_folders(parser)
    args = parser.parse_args(argv)
    cache = Path(args.cache_dir)
    paths = material.large_pictures(cache / "large", PICTURES + 1)
    facts = {"machine": machine.describe(), "load": os.getloadavg()[0]}
    for name in NETWORKS:
        weights = material.random_weights(cache, name)
        facts[name] = measure(name, weights, paths, args.rounds)
        print(name, json.dumps(facts[name]))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "app.json").write_text(json.dumps(facts, indent=2) + "\n")


def measure(
    network: str, weights: str, paths: list[str], rounds: int
) -> dict[str, float]:
    """Medians of seconds, and of their ratio within rounds."""
    settings = {"network": network, "weights": weights, "paths": paths[1:]}
    page_seconds, captum_seconds = [], []
    with (
        Side(Call("app_torch:gradient", settings)) as captum,
        explorer(weights) as page,
    ):
        page.drop(paths[0])  # compiles
        captum.ask()
        for _ in range(rounds):
            page_seconds.append(statistics.median(map(page.drop, paths[1:])))
            answer = captum.ask()["seconds"]["map"]
            captum_seconds.append(statistics.median(answer))
    ratios = [b / a for a, b in zip(page_seconds, captum_seconds, strict=True)]
    return {
        "drop_to_map_seconds": statistics.median(page_seconds),
        "captum_seconds": statistics.median(captum_seconds),
        "ratio": statistics.median(ratios),
    }


class Page:
    """The explorer's page, which takes pictures."""

    def __init__(self, page: Any):
        self._page = page

    def drop(self, path: str) -> float:
        """Drops a picture; gives the seconds until its map is there."""
        before = self.caption()
        if before is not None:  # another picture takes the place of the last one
            self._page.get_by_label("Remove this file").or_(
                self._page.get_by_label("Clear")
            ).first.click()
            self._page.wait_for_selector(CAPTION, state="detached")
        start = time.perf_counter()
        self._page.set_input_files("#picture input[type=file]", path)
        self._page.wait_for_selector(CAPTION)
        return time.perf_counter() - start

    def caption(self) -> str | None:
        """What the map says that it is; None where there is none."""
        shown = self._page.query_selector(CAPTION)
        return shown and shown.inner_text()


@contextlib.contextmanager
def explorer(weights: str) -> Iterator[Page]:
    """Serves a network's explorer, opens it, and sets it to gradients."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (an extra)

    start.keep_compiled_programs()
    command = [sys.executable, "-u", "-m", "jaxart", "app", "--no_browser", weights]
    browser_path = next(filter(None, map(shutil.which, BROWSERS)))
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as server,
        sync_playwright() as playwright,
    ):
        try:
            url = server.stdout.readline().split()[0]
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox"]
            )
            page = browser.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(url)
            method = page.get_by_label("Method", exact=True).first
            method.click()
            method.fill("gradient")
            method.press("Enter")
            yield Page(page)
            browser.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
