"""`python -m jaxart.main`, which is `jaxart train`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
