"""What every job does before it begins."""

import faulthandler
import logging
import os
import warnings

import platformdirs
from absl import flags
from absl import logging as absl_logging
from PIL import Image

from jaxart import storage
from jaxart.data import reasons

_MAX_CACHE_BYTES = 1 << 30  # what was used least goes first


def set_up() -> logging.Logger:
    """Keeps what JAX compiles; shows what jaxart says; returns its logger."""
    keep_compiled_programs()
    faulthandler.enable()
    absl_logging.use_absl_handler()
    if not flags.FLAGS.is_parsed():  # only training has flags of absl's
        flags.FLAGS.mark_as_parsed()
    # Orbax reports every file that it writes; training's --verbosity=0 shows it.
    if not flags.FLAGS["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
    logging.getLogger("absl").addFilter(_is_news)
    # Pillow warns of pictures above 89 megapixels; how much they take is told before.
    reasons.count_warnings()
    reasons.silence_libtiff()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    log = logging.getLogger("jaxart")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.StreamHandler())
    return log


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record is no trace of Orbax's threads: what they raise is told once."""
    return not (record.exc_info and "orbax" in record.pathname)


def keep_compiled_programs() -> None:
    """Makes the second run's first step start without compiling.

    To be called before JAX is imported, which reads these variables then. The user's
    own go before: JAX_COMPILATION_CACHE_DIR moves the folder, and
    JAX_ENABLE_COMPILATION_CACHE=false does without.

    Raises:
      StorageError: the folder belongs to another user, or is a link.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = platformdirs.user_cache_path("jaxart") / "xla"
        try:
            storage.private_folder(folder)
        except storage.StorageError:
            raise
        except OSError:  # JAX warns, and does without
            pass
        os.environ |= {
            "JAX_COMPILATION_CACHE_DIR": str(folder),
            "JAX_COMPILATION_CACHE_MAX_SIZE": str(_MAX_CACHE_BYTES),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        }
