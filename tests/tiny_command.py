"""`jaxart JOB` with a network that costs nothing, as a process of its own."""

import sys

from jaxart.__main__ import main
from jaxart.models import MODELS
from tests import runs

if __name__ == "__main__":
    MODELS["tinynet"] = runs.TinyNet
    sys.exit(main(sys.argv[1:]))
