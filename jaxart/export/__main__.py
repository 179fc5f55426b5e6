"""`python -m jaxart.export`, which is `jaxart export`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
