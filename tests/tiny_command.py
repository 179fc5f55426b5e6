"""`jaxart` that knows a network which runs in no time; as a program, with a job."""

import sys

from jaxart.__main__ import main
from jaxart.models import MODELS
from tests.runs import TinyNet

MODELS["tinynet"] = TinyNet

if __name__ == "__main__":
    sys.exit(main())
