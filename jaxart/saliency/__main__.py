r"""Explains what a network sees, for whole folders of images.

  python -m jaxart.saliency --weights=vgg16.safetensors --images=photos --out=out
  python -m jaxart.saliency --workdir=runs/demo --images=paintings --out=out \
      --method=smoothgrad --num_samples=50

Open out/index.html to look at the maps. The same command again goes on where the
last one stopped. `--list_methods` says which methods there are.
`--ray=auto` does it on all machines of a Ray cluster.
"""

import sys
from typing import Any

from absl import app, flags
from tqdm.contrib.logging import logging_redirect_tqdm

from jaxart import commands, storage
from jaxart.data.images import RESIZE_RULES
from jaxart.passes import driver
from jaxart.saliency.choices import BASELINES, CHANNEL_RULES, KINDS, QUADRATURES, SCALES

WEIGHTS = flags.DEFINE_string(
    "weights", None, "ImageNet classifier: a file of tools/convert_weights.py."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Fine-tuned classifier: a run of jaxart.main; its best epoch."
)
IMAGES = flags.DEFINE_string(
    "images",
    None,
    "What to explain: a folder (searched deep), an image, a list file (`path` or "
    "`path label` a line), or a CSV file with a column path.",
)
IMAGE_ROOT = flags.DEFINE_string(
    "image_root", "", "Where relative paths of a list start; its own folder if empty."
)
OUT = flags.DEFINE_string("out", None, "Folder for maps, pictures, record and page.")
METHOD = flags.DEFINE_string("method", "gradient", "See --list_methods.")
LIST_METHODS = flags.DEFINE_bool("list_methods", False, "Lists the methods and exits.")
TARGET = flags.DEFINE_string(
    "target",
    "predicted",
    "The class to explain: `predicted`, a class index, a class name, or `label`, "
    "what the list (or the class folder) says.",
)
CHANNEL_RULE = flags.DEFINE_enum(
    "channel_rule",
    None,
    CHANNEL_RULES,
    "How an attribution becomes one number a pixel; by default the method's rule.",
)
RESIZE = flags.DEFINE_enum(
    "resize",
    None,
    RESIZE_RULES,
    "How an image becomes square; by default as in the run's training, or antialias.",
)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 8, "Network inputs at once; bounds the memory.", lower_bound=1
)
PART_SIZE = flags.DEFINE_integer(
    "part_size",
    None,
    "Images of a part, which is what a killed run may lose; by default about ten "
    "seconds' work, or more of a long list.",
    lower_bound=1,
)
RAY = flags.DEFINE_string(
    "ray",
    None,
    "Run on a Ray cluster: `auto` for the one that this machine is part of, or its "
    "address. One actor for each GPU, or for --ray_cpus where there are none.",
)
RAY_CPUS = flags.DEFINE_float("ray_cpus", 1, "CPUs of an actor.", lower_bound=0.1)
SAVE = flags.DEFINE_list(
    "save",
    ["overlay", "heatmap", "sheet"],
    f"Any of {','.join(KINDS)}; npy is the raw map, float32.",
)
SCALE = flags.DEFINE_enum(
    "scale",
    "image",
    SCALES,
    "Each map on its own scale, or all on a common one, to compare (keeps npy).",
)
PERCENTILE = flags.DEFINE_float(
    "percentile",
    99.0,
    "Of a map's absolute values: what the end of the colour table stands for.",
)
COLORMAP = flags.DEFINE_string(
    "colormap", "auto", "A table of matplotlib's or of the cmap package, e.g. viridis."
)
LIMIT = flags.DEFINE_integer(
    "limit", None, "Only the first images, this many.", lower_bound=1
)
SEED = flags.DEFINE_integer("seed", 0, "Of methods that draw samples.")
STRICT = flags.DEFINE_bool(
    "strict", False, "Exit with status 1 if an image had to be skipped."
)

# The methods' own settings; None is the method's default.
SETTINGS = [
    flags.DEFINE_integer("num_samples", None, "Noisy copies of an image."),
    flags.DEFINE_float("noise_level", None, "Their noise, in parts of its range."),
    flags.DEFINE_integer("num_steps", None, "Steps of a path."),
    flags.DEFINE_enum(
        "baseline", None, BASELINES, "Where a path starts; what occludes."
    ),
    flags.DEFINE_enum("quadrature", None, QUADRATURES, "Where a path's steps lie."),
    flags.DEFINE_float("max_sigma", None, "Strongest blur of a path, in pixels."),
    flags.DEFINE_float("fraction", None, "Of the pixels that move in a guided step."),
    flags.DEFINE_float("max_dist", None, "How far they may leave the straight path."),
    flags.DEFINE_string("layer", None, "Caffe name of the layer that a CAM looks at."),
    flags.DEFINE_integer("window", None, "Side of the occluded square, in pixels."),
    flags.DEFINE_integer("stride", None, "From one square to the next, in pixels."),
    flags.DEFINE_integer("num_masks", None, "Random masks."),
    flags.DEFINE_integer("grid", None, "Cells along a side of a random mask."),
    flags.DEFINE_float("probability", None, "That a cell of a mask is open."),
]


def main(argv: list[str]) -> int:
    """Runs what the flags describe; returns the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    # Late: JAX takes seconds, and neither --help nor a refusal waits for it.
    if LIST_METHODS.value:
        from jaxart.saliency import catalogue  # noqa: PLC0415

        print(catalogue.table())
        return 0
    for flag in (IMAGES, OUT):
        if not flag.value:
            raise app.UsageError(f"--{flag.name} is missing")
    try:
        out = storage.path(OUT.value)
        with (
            driver.alone(out / "parts"),
            logging_redirect_tqdm([commands.set_up()]),
        ):
            counts = explain(out)["counts"]
    except (ValueError, OSError) as error:
        sys.exit(f"jaxart: {error}")
    except KeyboardInterrupt:
        print("\njaxart: stopped; the same command goes on", file=sys.stderr)
        return 130
    print(f"{counts['done_before'] + counts['done_now']} images: {out / 'index.html'}")
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped: see {out / 'skipped.csv'}")
    return int(STRICT.value and counts["skipped"] > 0)


def explain(out: storage.AnyPath) -> dict[str, Any]:
    """Unpacks the flags and explains the images; returns what run.json holds."""
    from jaxart import classifier  # noqa: PLC0415
    from jaxart.data import listing  # noqa: PLC0415
    from jaxart.passes.running import Cluster  # noqa: PLC0415
    from jaxart.saliency import catalogue, run  # noqa: PLC0415
    from jaxart.saliency.options import Options  # noqa: PLC0415

    method = catalogue.find(METHOD.value)
    if CHANNEL_RULE.value and not method.channel_rule:
        raise ValueError(f"{METHOD.value} gives maps: no channel_rule applies")
    source, root = storage.path(IMAGES.value), storage.path_or_none(IMAGE_ROOT.value)
    found = listing.read(source, root).without(out)
    given = {flag.name: flag.value for flag in SETTINGS if flag.value is not None}
    network = classifier.load(WEIGHTS.value, WORKDIR.value)
    options = Options(
        method=METHOD.value,
        settings=catalogue.complete_settings(METHOD.value, network.model, given),
        channel_rule=CHANNEL_RULE.value or method.channel_rule,
        target=TARGET.value,
        resize=RESIZE.value or network.resize or "antialias",
        save=tuple(SAVE.value),
        scale=SCALE.value,
        percentile=PERCENTILE.value,
        colormap=COLORMAP.value,
        seed=SEED.value,
    )
    return run.explain_images(
        network,
        found.first(LIMIT.value),
        out,
        options,
        batch_size=BATCH_SIZE.value,
        part_size=PART_SIZE.value,
        ray=Cluster(RAY.value, RAY_CPUS.value) if RAY.value else None,
        arguments=sys.argv[1:],
    )


if __name__ == "__main__":
    app.run(main)
