"""The command line with a network that costs nothing, as a process of its own."""

from absl import app

from jaxart.models import MODELS
from jaxart.saliency import __main__ as command_line
from tests import runs

if __name__ == "__main__":
    MODELS["tinynet"] = runs.TinyNet
    app.run(command_line.main)
