"""How fast the saliency page is with many images: `python -m benchmarks.page`.

Opens it in headless Chromium, from files; needs playwright and a Chromium or Chrome.
Writes page.json into benchmarks/results.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import machine, report
from jaxart.saliency import gallery

MAPS = ("gradient-predicted", "grad_cam-predicted")
SIZES = {"thumbnail": 240, "picture": 512, "map": 512}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NUM_CLASSES = 1000
NUM_PAINTED = 16  # pictures that differ; the others are links to them

# When the first card is there, before any frame shows it.
WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) tasks.push(duration);
}).observe({ type: "longtask", buffered: true });
new MutationObserver((_, observer) => {
  if (!document.querySelector("#grid li")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.drawn = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""

# Milliseconds from a choice to the frame that shows it.
CHOOSE = """([name, value]) => new Promise((resolve) => {
  const control = controls.elements[name];
  const start = performance.now();
  control.value = value;
  controls.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
})"""

# Scrolls from top to bottom; gives the milliseconds between frames.
SCROLL = """(frames) => new Promise((resolve) => {
  tasks.length = 0;
  const height = document.documentElement.scrollHeight - innerHeight;
  const gaps = [];
  let before, frame = 0;
  const step = (now) => {
    if (before !== undefined) gaps.push(now - before);
    before = now;
    if (frame > frames) return setTimeout(() => resolve({ gaps, tasks }), 200);
    scrollTo(0, (height * frame++) / frames);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def main(argv: list[str] | None = None) -> None:
    """Makes a page, measures it, and writes what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page", description=__doc__
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=600, help="of the scroll through")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default=str(report.RESULTS))
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        data = make(Path(folder), args.images)
        rounds = [measure(Path(folder), args.frames) for _ in range(args.rounds)]
    facts = {"machine": machine.describe(), "images": args.images}
    facts |= {"load": os.getloadavg()[0]}  # what else ran: programs for the cores
    facts |= {"rounds": args.rounds, "entries_js_bytes": data} | _medians(rounds)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=2)
    (out / "page.json").write_text(text + "\n")
    print(text)


def _medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number."""
    return {
        key: _medians([one[key] for one in rounds])
        if isinstance(value, dict)
        else round(statistics.median(one[key] for one in rounds), 1)
        for key, value in rounds[0].items()
    }


def make(out: Path, num_images: int) -> int:
    """Writes a page of made up records and pictures; returns the size of its data."""
    painted = _paint(out / "painted")
    records = [_record(i) for i in range(num_images)]
    for i, record in enumerate(records):
        _link(record["files"], out, painted[i % NUM_PAINTED])
        for one in record["maps"]:
            _link(one["files"], out, painted[i % NUM_PAINTED])
    gallery.write(out, "A page", "Made up", records)
    return (out / "gallery" / "entries.js").stat().st_size


def _paint(folder: Path) -> list[dict[str, Path]]:
    """Pictures of coarse noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    painted = []
    for i in range(NUM_PAINTED):
        files = {kind: folder / f"{kind}{i}.jpg" for kind in SIZES}
        pixels = random.integers(0, 256, (12, 12, 3), np.uint8)
        for kind, size in SIZES.items():
            Image.fromarray(pixels).resize((size, size)).save(files[kind], quality=90)
        painted.append(files)
    return painted


def _link(files: dict[str, str], out: Path, painted: dict[str, Path]) -> None:
    for kind, name in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(painted[kind], out / name)


def _record(i: int) -> dict[str, Any]:
    """A record as `jaxart.saliency.manifest` makes it."""
    random = np.random.default_rng(i)
    classes = random.choice(NUM_CLASSES, 5, replace=False).tolist()
    shares = -np.sort(-random.dirichlet([0.3] * 6))[:5]
    names = [f"class number {index}" for index in classes]
    path = f"validation/{classes[0]:03}/picture_{i:08}.jpg"
    label = classes[int(random.random() < 0.3)]
    maps = [
        {
            "method": name.split("-")[0],
            "settings": {},
            "score": "logit",
            "asked": "predicted",
            "target": classes[0],
            "target_name": names[0],
            "target_logit": random.normal(15, 4),
            "map": dict.fromkeys(("min", "max", "sum", "limit"), random.random()),
            "files": {"map": f"gallery/map/{name}/{path}.jpg"},
        }
        for name in MAPS
    ]
    return {
        "path": path,
        "size": [512, 512],
        "predicted": classes[0],
        "predicted_name": names[0],
        "logit": random.normal(15, 4),
        "probability": float(shares[0]),
        "top5": [
            {"index": index, "name": name, "probability": float(share)}
            for index, name, share in zip(classes, names, shares, strict=True)
        ],
        "label": label,
        "label_name": f"class number {label}",
        "files": {
            kind: f"gallery/{kind}/{path}.jpg" for kind in ("thumbnail", "picture")
        },
        "maps": maps,
    }


def measure(out: Path, frames: int) -> dict[str, Any]:
    """Milliseconds until the page is there, filtered, and scrolled through."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        sys.exit("benchmarks.page: pip install playwright")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1360, "height": 860})
        page.add_init_script(WATCH)
        page.goto((out / "index.html").as_uri())
        page.wait_for_function("window.drawn")
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        measured = {
            "first_paint_ms": page.evaluate(paint),
            "first_cards_ms": page.evaluate("drawn"),
            "filter_ms": _choices(page),
            "elements": page.evaluate("document.querySelectorAll('*').length"),
        }
        scrolled = page.evaluate(SCROLL, frames)
        browser.close()
    return measured | {
        "scroll": {
            "frames": len(scrolled["gaps"]),
            "median_frame_ms": statistics.median(scrolled["gaps"]),
            "longest_frame_ms": max(scrolled["gaps"]),
            "tasks_over_50_ms": len(scrolled["tasks"]),
            "longest_task_ms": max(scrolled["tasks"], default=0),
        }
    }


def _choices(page: Any) -> dict[str, float]:
    """Milliseconds of each choice, the first text apart: it prepares the names."""
    chosen = {}
    for title, name, value in (
        ("first text", "q", "picture_0000"),
        ("text", "q", "number 77"),
        ("text of nothing", "q", "nothing"),
        ("no text", "q", ""),
        ("wrong ones", "verdict", "wrong"),
        ("all", "verdict", ""),
        ("by path", "order", "path"),
        ("least certain", "order", "low"),
        ("as listed", "order", ""),
        ("all maps", "view", "all"),
        ("both", "view", ""),
    ):
        chosen[title] = page.evaluate(CHOOSE, [name, value])
    return chosen


if __name__ == "__main__":
    main()
