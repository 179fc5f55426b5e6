"""`python -m jaxart.report`, which is `jaxart report`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
