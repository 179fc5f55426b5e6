"""Who painted a picture: names in one spelling, and what file names say."""

import re
import unicodedata

_UNKNOWN = {"", "anonymous", "artist unknown", "unknown"}
_FILE_NAME = re.compile(r"(?P<artist>[^\W\d_]['.\w -]*?)_(?P<title>.*[^\W\d_].*)")
_YEAR = re.compile(r"(?<!\d)1[0-9]{3}(?!\d)|(?<!\d)20[0-9]{2}(?!\d)")


def key(artist: str) -> str:
    """One spelling for one artist, '' for an unknown one.

    `Paul Cézanne`, `paul-cezanne` and `cezanne-paul` are one: accents, case, order
    and what stands between words do not count.
    """
    decomposed = unicodedata.normalize("NFKD", artist)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    words = " ".join(sorted(re.findall(r"[^\W_]+", plain.casefold())))
    return "" if words in _UNKNOWN else words


def from_file_name(stem: str) -> tuple[str, str, str]:
    """Artist, title and year of a file called as WikiArt's are, '' for what is missing.

    `claude-monet_the-red-boats-1875(1)` is by claude-monet, of 1875; `IMG_1234` is by
    nobody.
    """
    match = _FILE_NAME.fullmatch(stem)
    if match is None:
        return "", "", ""
    years = _YEAR.findall(match["title"])
    return match["artist"], match["title"], years[-1] if years else ""
