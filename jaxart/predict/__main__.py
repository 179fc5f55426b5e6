"""`python -m jaxart.predict`, which is `jaxart predict`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
