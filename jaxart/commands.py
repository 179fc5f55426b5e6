"""What every command does before it starts."""

import logging
import warnings

import platformdirs
from absl import flags
from absl import logging as absl_logging
from PIL import Image

_MAX_CACHE_BYTES = 1 << 30  # what was used least goes first


def set_up() -> logging.Logger:
    """Keeps what JAX compiles; shows what jaxart says; returns its logger."""
    keep_compiled_programs()
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


def keep_compiled_programs() -> None:
    """Makes the second run's first step start without compiling.

    JAX's own variables go before: JAX_COMPILATION_CACHE_DIR moves the folder, and
    JAX_ENABLE_COMPILATION_CACHE=false does without.
    """
    import jax  # noqa: PLC0415  (takes a second, and --help waits for none of it)

    if jax.config.jax_compilation_cache_dir is None:
        folder = platformdirs.user_cache_path("jaxart") / "xla"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", _MAX_CACHE_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
