r"""How much a split with the same artists on both sides flatters.

    python -m benchmarks.leaky_split --weights=vgg16.safetensors --src=PAINTINGS \
        --metadata=PAINTINGS/metadata.csv

Curates the same paintings with each kind of split and several seeds, and fine-tunes
configs/vgg16_fc8.py on each; the frozen layers run once, for all of them. Writes
leaky_split.json into benchmarks/results, and prints the table of docs/paintings.md.
"""

import argparse
import datetime
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.report import RESULTS
from configs import vgg16_fc8
from jaxart.paintings.curate import curation
from jaxart.paintings.curate.splits import SPLITS
from jaxart.storage.results import write_json
from jaxart.training.loop import train_and_evaluate


def main(argv: list[str] | None = None) -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.leaky_split",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", required=True, help="VGG16's, a file of `jaxart convert`")
    add("--src", required=True, help="the paintings, as `jaxart wikiart curate`")
    add("--metadata", default="", help="a table of their artists")
    add("--num_seeds", type=int, default=10, help="splits of each kind")
    add("--num_epochs", type=int, help="fewer than the config's, to try it out")
    add("--cache_dir", default="", help="where the frozen layers' output is kept")
    add("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    runs = [run(args, kind, seed) for seed in range(args.num_seeds) for kind in SPLITS]
    result = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "runs": runs,
        "summary": summarize(runs),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "leaky_split.json", result)
    print(table(result["summary"]))


def run(args: argparse.Namespace, kind: str, seed: int) -> dict[str, Any]:
    """One split, and what the last epoch reaches on it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        options = curation.Options(split=kind, seed=seed)
        made = curation.curate(args.src, data, options, metadata=args.metadata)
        config = vgg16_fc8.get_config()
        config.weights = args.weights
        config.train_data = str(data / "train.txt")
        config.val_data = str(data / "val.txt")
        config.num_classes = len(made["classes"])
        config.num_epochs = args.num_epochs or config.num_epochs
        config.cache_dir = args.cache_dir
        config.checkpoint_every_epochs = config.num_epochs
        config.seed = seed
        result = train_and_evaluate(config, Path(folder) / "run")
    return {
        "split": kind,
        "seed": seed,
        "train": made["train"],
        "val": made["val"],
        "artists_on_both_sides": made["artists_on_both_sides"],
        "leaks": result["leaks"],
        "accuracy": result["last_val_accuracy"],
    }


def summarize(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each kind of split: the mean over seeds, with its interval, and what it adds.

    Intervals are Student's, of 95 %. Splits of the same paintings overlap, so they tell
    how a figure varies from split to split, not from one collection to another.
    """
    accuracy = {
        kind: np.array([run["accuracy"] for run in runs if run["split"] == kind])
        for kind in SPLITS
    }
    summary = {}
    for kind, values in accuracy.items():
        shared = [r["artists_on_both_sides"] for r in runs if r["split"] == kind]
        gains = values - accuracy["artist"]  # of the same seed
        summary[kind] = {
            "accuracy": _mean_and_interval(values),
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "gain": _mean_and_interval(gains),
            "artists_on_both_sides": float(np.mean(shared)),
            "splits": len(values),
        }
    return summary


def _mean_and_interval(values: np.ndarray) -> list[float]:
    mean = float(np.mean(values))
    spread = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return [mean, mean - float(spread), mean + float(spread)]


def table(summary: dict[str, dict[str, Any]]) -> str:
    """The summary as Markdown."""
    lines = [
        "| split | artists on both sides | validation accuracy, 95 % interval | "
        "lowest to highest | more than by artist |",
        "|---|---|---|---|---|",
    ]
    for kind, of in summary.items():
        mean, low, high = of["accuracy"]
        gain = "{:+.3f} ({:+.3f} to {:+.3f})".format(*of["gain"])
        lines.append(
            f"| {kind} | {of['artists_on_both_sides']:.0f} | "
            f"**{mean:.3f}** ({low:.3f} to {high:.3f}) | "
            f"{of['lowest']:.3f} to {of['highest']:.3f} | "
            f"{'' if kind == 'artist' else gain} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
