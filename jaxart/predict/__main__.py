r"""Says what images show: the best classes of each, in one table.

  python -m jaxart.predict --weights=vgg16.safetensors --images=photos \
      --out=predictions.csv
  python -m jaxart.predict --workdir=runs/demo --images=test.txt --out=test.jsonl \
      --features=pool5

The suffix of --out is the format: .csv, .jsonl or .parquet. Images that cannot be
read are listed beside it, in predictions.skipped.csv. Where images have labels (in a
list, or class folders), predictions.metrics.json says how right the network is.
A stopped run goes on with the same command. `--ray=auto` runs on a Ray cluster.
"""

import functools
import sys

from absl import app, flags
from tqdm.contrib.logging import logging_redirect_tqdm

from jaxart import commands, storage
from jaxart.data.images import RESIZE_RULES
from jaxart.passes import driver, outputs
from jaxart.predict import tables


def define_flags(values: flags.FlagValues) -> None:
    """Adds the command's flags: not on import, for other commands have the same."""
    text = functools.partial(flags.DEFINE_string, flag_values=values)
    at_least_1 = functools.partial(
        flags.DEFINE_integer, lower_bound=1, flag_values=values
    )
    text("weights", None, "A file of tools/convert_weights.py.")
    text("workdir", None, "A run of jaxart.main; its best epoch.")
    text(
        "images",
        None,
        "A folder (searched deep), an image, a list file (`path` or `path label` a "
        "line), or a CSV file with a column path and maybe label.",
    )
    text(
        "image_root",
        "",
        "Where relative paths of a list start; its own folder if empty.",
    )
    text("out", None, "The table: .csv, .jsonl or .parquet.")
    at_least_1(
        "top_k",
        None,
        "The best classes of each image, this many; 5 by default, but all of up to "
        f"{tables.MAX_CLASS_COLUMNS} classes in a .csv file, a column each.",
    )
    at_least_1("batch_size", 32, "Images at once; bounds the memory.")
    flags.DEFINE_enum(
        "resize",
        None,
        RESIZE_RULES,
        "How an image becomes square; by default as in the run's training, or "
        "antialias.",
        flag_values=values,
    )
    at_least_1("limit", None, "Only the first images, this many.")
    text("features", None, "Also write this layer's activations.")
    at_least_1(
        "part_size",
        None,
        "Images of a part, which is what a killed run may lose; by default about ten "
        "seconds' work, or more of a long list.",
    )
    text(
        "ray",
        None,
        "Run on a Ray cluster: `auto` for the one that this machine is part of, or its "
        "address. One actor for each GPU, or for --ray_cpus where there are none.",
    )
    flags.DEFINE_float(
        "ray_cpus", 1, "CPUs of an actor.", lower_bound=0.1, flag_values=values
    )
    flags.DEFINE_bool(
        "strict",
        False,
        "Exit with status 1 if an image was skipped.",
        flag_values=values,
    )


def main(argv: list[str], values: flags.FlagValues = flags.FLAGS) -> int:
    """Runs what the flags describe; returns the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    for name in ("images", "out"):
        if not values[name].value:
            raise app.UsageError(f"--{name} is missing")
    try:
        out = storage.path(values.out)
        tables.find_format(out)  # a mistake shows before all else
        outputs.check_table(out, storage.path(values.images), values.features)
        tables.check_replaceable(out)
        with (
            driver.alone(outputs.sibling(out, "parts")),
            logging_redirect_tqdm([commands.set_up()]),
        ):
            return predict(out, values)
    except (ValueError, OSError) as error:
        sys.exit(f"jaxart: {error}")
    except KeyboardInterrupt:
        print("\njaxart: stopped; the same command goes on", file=sys.stderr)
        return 130


def predict(out: storage.AnyPath, values: flags.FlagValues) -> int:
    """Unpacks the flags and predicts; returns the exit status."""
    # Late: JAX takes seconds, and neither --help nor a refusal waits for it.
    from jaxart import classifier  # noqa: PLC0415
    from jaxart.data import listing  # noqa: PLC0415
    from jaxart.passes.running import Cluster  # noqa: PLC0415
    from jaxart.predict import evaluation, run  # noqa: PLC0415

    root = storage.path_or_none(values.image_root)
    found = listing.read(storage.path(values.images), root)
    network = classifier.load(values.weights, values.workdir)
    outcome = run.predict_images(
        network,
        found.first(values.limit),
        out,
        top_k=values.top_k,
        batch_size=values.batch_size,
        part_size=values.part_size,
        resize=values.resize or network.resize or "antialias",
        features=values.features,
        ray=Cluster(values.ray, values.ray_cpus) if values.ray else None,
    )
    print(f"{outcome.num_images} images: {out}")
    if outcome.num_skipped:
        skipped = outputs.sibling(out, "skipped.csv")
        print(f"{outcome.num_skipped} skipped: see {skipped}")
    if outcome.metrics:
        print(evaluation.table(outcome.metrics))
    return int(values.strict and outcome.num_skipped > 0)


if __name__ == "__main__":
    define_flags(flags.FLAGS)
    app.run(main)
