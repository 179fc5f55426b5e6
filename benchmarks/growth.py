"""How our time and memory grow with the work: `python -m benchmarks.growth`.

Fine-tuning against images and epochs, saliency against images and samples. Writes
growth.json and growth.png into benchmarks/results; README shows docs/growth.png, a copy
of the latter.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from benchmarks import machine, material, plot, report, runner
from benchmarks.workloads import Call, Setup


class Series(NamedTuple):
    """One thing grows, the rest stays.

    Attributes:
      title: what grows less or more.
      x_name: what it grows with.
      x: how much of that.
      call: what to run for each.
    """

    title: str
    x_name: str
    x: tuple[int, ...]
    call: Callable[[int], Call]


def main(argv: list[str] | None = None) -> None:
    """Measures, fits and draws."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="tiny sizes: does everything run?")
    add(
        "--cache_dir",
        default=str(platformdirs.user_cache_path("jaxart") / "benchmarks"),
        help="keeps paintings and random weights (the user's cache folder)",
    )
    add("--out", default=str(report.RESULTS))
    args = parser.parse_args(argv)
    setup = Setup(cache=Path(args.cache_dir).absolute(), quick=args.quick)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)

    curves, panels = [], []
    for series in all_series(setup):
        results = [runner.run_call(series.call(x)) for x in series.x]
        seconds = [result["seconds"]["total"][0] for result in results]
        memory = [result["peak_memory_bytes"] / 1e6 for result in results]
        for y_name, values in (("seconds", seconds), ("peak MB", memory)):
            slope, intercept, explained = plot.fit(list(series.x), values)
            curve = {
                "title": series.title,
                "x_name": series.x_name,
                "y_name": y_name,
                "x": series.x,
                "y": values,
                "slope": slope,
                "intercept": intercept,
            }
            panels.append(plot.Panel(**curve))
            curves.append(curve | {"r_squared": explained})
            print(
                f"{series.title}: {y_name} = {intercept:.4g} + {slope:.4g} * "
                f"{series.x_name} (R2 {explained:.3f})",
                flush=True,
            )
    facts = {"machine": machine.describe(), "versions": machine.versions()}
    text = json.dumps(facts | {"curves": curves}, indent=2) + "\n"
    (out / "growth.json").write_text(text)
    plot.draw(out / "growth.png", panels)
    print(out / "growth.png")


def all_series(setup: Setup) -> list[Series]:
    """What is measured."""
    images = setup.images()
    paths = images.paths

    def fine_tune(count: int, epochs: int) -> Call:
        chosen = material.subset(setup.cache, images, count)
        settings: dict[str, Any] = chosen.settings | {
            "config": "fc7_fc8",
            "weights": setup.weights_of("alexnet"),
            "batch_size": setup.pick(128, 8),
            "epochs": epochs,
            "cache_dir": "",
        }
        return Call("train_ours:run", settings)

    def explain(count: int, method: str, given: dict[str, int]) -> Call:
        settings = {
            "weights": setup.weights_of("vgg16"),
            "paths": paths[:count],
            "batch_size": setup.pick(8, 1),
            "method": method,
            "given": given,
        }
        return Call("saliency_ours:folder", settings)

    few = setup.pick(128, 20)
    return [
        Series(
            "fine-tune AlexNet fc7, fc8: 2 epochs",
            "images",
            setup.pick((128, 256, 384, 512), (20, 30)),
            lambda count: fine_tune(count, 2),
        ),
        Series(
            f"fine-tune AlexNet fc7, fc8: {few} images",
            "epochs",
            setup.pick((2, 5, 10, 20), (2, 3)),
            lambda epochs: fine_tune(few, epochs),
        ),
        Series(
            "VGG16 gradients",
            "images",
            setup.pick((8, 16, 32, 64), (1, 2)),
            lambda count: explain(count, "gradient", {}),
        ),
        Series(
            f"VGG16 SmoothGrad, {setup.pick(2, 1)} images",
            "samples",
            setup.pick((8, 16, 32, 64), (1, 2)),
            lambda samples: explain(
                setup.pick(2, 1), "smoothgrad", {"num_samples": samples}
            ),
        ),
    ]


if __name__ == "__main__":
    main()
