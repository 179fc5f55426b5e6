"""Reads the data of the saliency page."""

import json
import re


def read(out):
    """What `gallery/entries.js` says, from a text in a script."""
    text = (out / "gallery" / "entries.js").read_text(encoding="ascii")
    quoted = re.fullmatch(r"window\.GALLERY = JSON\.parse\('(.*)'\);\n", text)[1]
    return json.loads(re.sub(r"\\(.)", r"\1", quoted))
