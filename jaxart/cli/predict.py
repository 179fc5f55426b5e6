"""Says what images show: the best classes of each, in one table.

  jaxart predict --weights=vgg16.safetensors --images=photos --out=predictions.csv
  jaxart predict --workdir=runs/demo --images=test.txt --out=test.jsonl --features=pool5

The suffix of --out is the format: .csv, .jsonl or .parquet. Images that cannot be read
are listed beside it, in predictions.skipped.csv. Where images have labels (in a list,
or class folders), predictions.metrics.json says how right the network is. A stopped
run goes on with the same command. `--ray=auto` runs on a Ray cluster.
"""

import argparse
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import Parser, count, require
from jaxart.devices import stopping
from jaxart.passes import driver, outputs
from jaxart.predict import tables

STOPPED = "the same command goes on"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("predict", __doc__)
    shared.add_network(parser)
    shared.add_images(parser.add_argument_group("the images").add_argument)
    add = parser.add_argument_group("the result").add_argument
    add("--out", type=storage.path_or_none, help="the table: .csv, .jsonl or .parquet")
    add(
        "--top_k",
        type=count,
        help="the best classes of each image, this many (default: 5, but all of up to "
        f"{tables.MAX_CLASS_COLUMNS} classes in a .csv file, a column each)",
    )
    add(
        "--calibrated",
        action="store_true",
        help="divide logits by the run's temperature, which was fitted on its "
        "validation images: other probabilities, the same classes",
    )
    add("--features", metavar="LAYER", help="also write this layer's activations")
    shared.add_strict(add)
    shared.add_pass(parser, 32, "images")
    flags = parser.parse(words)
    require(flags, "images", "out")
    return flags


@stopping.listening()
def run(flags: argparse.Namespace) -> int:
    out = flags.out
    tables.find_format(out)  # a mistake shows before all else
    outputs.check_table(out, flags.images, flags.features)
    tables.check_replaceable(out)
    with driver.alone(outputs.sibling(out, "parts")):
        # Late: JAX takes seconds, and a refusal does not wait for it.
        from jaxart.data import listing  # noqa: PLC0415
        from jaxart.predict import evaluation, run  # noqa: PLC0415

        images = listing.read(
            flags.images, flags.image_root, any_suffix=flags.any_suffix
        )
        network = shared.load_network(flags)
        outcome = run.predict_images(
            network,
            images.first(flags.limit),
            out,
            top_k=flags.top_k,
            batch_size=flags.batch_size,
            part_size=flags.part_size,
            resize=flags.resize or network.resize or "antialias",
            features=flags.features,
            calibrated=flags.calibrated,
            ray=shared.cluster_of(flags),
        )
    print(f"{outcome.num_images} images: {out}")
    if outcome.num_skipped:
        skipped = outputs.sibling(out, "skipped.csv")
        print(f"{outcome.num_skipped} skipped: see {skipped}")
    if outcome.trained is not None and outcome.trained.any():
        print(f"training has seen {outcome.trained.sum()} of them")
    if outcome.metrics:
        print(evaluation.table(outcome.metrics))
    return int(flags.strict and outcome.num_skipped > 0)
