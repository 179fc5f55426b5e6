"""`python -m jaxart.app`, which is `jaxart app`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
