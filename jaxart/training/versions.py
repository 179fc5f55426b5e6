"""What a run was made with."""

import platform
from importlib import metadata

import jaxart

# Those that numbers depend on.
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow")


def installed() -> dict[str, str]:
    """The versions of jaxart, Python and the packages that numbers depend on."""
    versions = {"jaxart": jaxart.__version__, "python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in _PACKAGES}
