"""`python tools/convert_weights.py`, which is `jaxart convert`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
