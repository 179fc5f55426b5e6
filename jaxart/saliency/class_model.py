"""`python -m jaxart.saliency.class_model`, which is `jaxart class_model`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["class_model", *sys.argv[1:]]))
