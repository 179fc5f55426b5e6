"""What every command does before it starts."""

import logging
import warnings

from absl import flags
from absl import logging as absl_logging
from PIL import Image


def set_up_logging() -> logging.Logger:
    """Shows what jaxart has to say, and no more; returns its logger."""
    # Orbax reports every file that it writes; --verbosity=0 brings that back.
    if not flags.FLAGS["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
    # Pillow warns of pictures above 89 megapixels, and refuses those above 178.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    log = logging.getLogger("jaxart")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.StreamHandler())
    return log
