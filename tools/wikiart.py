"""`python tools/wikiart.py COMMAND`, which is `jaxart wikiart COMMAND`."""

import sys

from jaxart.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["wikiart", *sys.argv[1:]]))
