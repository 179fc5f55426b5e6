"""`python -m jaxart.saliency`, which is `jaxart saliency`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["saliency", *sys.argv[1:]]))
