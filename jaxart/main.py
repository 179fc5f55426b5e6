"""Fine-tunes a network on paintings.

  python -m jaxart.main --config=configs/demo.py --workdir=runs/demo

Any field of the config can be set beside it:

  python -m jaxart.main --config=configs/fc7_fc8.py --workdir=runs/fc7_fc8 \
      --config.train_data=train.txt --config.image_root=paintings

`jaxart/config.py` lists the fields. A workdir that holds an unfinished run of the
same config is resumed.
"""

import json
import logging
import sys

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags
from tqdm.contrib.logging import logging_redirect_tqdm

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "File with get_config(); see configs/."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, TensorBoard files and results."
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """Runs the experiment that the flags describe."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    from jaxart import train  # noqa: PLC0415 (JAX only once the flags are right)

    # Orbax reports every file it writes; --verbosity=0 brings that back.
    if not flags.FLAGS["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
    log = logging.getLogger("jaxart")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.StreamHandler())
    with logging_redirect_tqdm([log]):
        try:
            result = train.train_and_evaluate(CONFIG.value, WORKDIR.value)
        except (ValueError, OSError, FloatingPointError) as error:
            sys.exit(f"jaxart: {error}")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app.run(main)
