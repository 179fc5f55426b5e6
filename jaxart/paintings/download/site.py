"""WikiArt's own listing of a style, page by page, as JSON."""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxart.paintings.download.errors import WikiartError
from jaxart.paintings.download.painting import Offer, Painting, plain_text, safe_id
from jaxart.paintings.download.session import Session, TryAgain
from jaxart.paintings.download.store import Store

BASE_URL = "https://www.wikiart.org"
TERMS = (
    "The images come from WikiArt.org, for non-commercial research use. Many of the\n"
    f"works are in copyright. WikiArt's terms: {BASE_URL}/en/terms-of-use\n"
    "jaxart distributes none of the images."
)

_WITHHELD = "/Content/images/FRAME-"  # a picture of a frame: "not available"
_MAX_PAGE_BYTES = 20_000_000
_MAX_PAGES = 10_000
_MAX_URL_LENGTH = 2000


def offers(
    wanted: Sequence[str], store: Store, session: Session, base_url: str
) -> Iterator[Offer]:
    """What WikiArt lists, style after style; a `download.Source` when partly bound.

    Raises:
      WikiartError: there is no such style, or a page cannot be had.
    """
    base_url = base_url.rstrip("/")

    def load(style: str, number: int) -> list[Any]:
        """A page's entries; none behind the last page."""
        url = (
            f"{base_url}/en/paintings-by-style/{style.replace('_', '-')}"
            f"?select=featured&json=2&page={number}"
        )
        name = f"{style}/{number:04}.json"
        how = {"max_bytes": _MAX_PAGE_BYTES, "parse": _entries, "missing": []}
        return store.listing(session, url, name, **how)

    unknown = [style for style in wanted if not load(style, 1)]
    if unknown:
        raise WikiartError(
            f"no such style at {base_url}: {', '.join(unknown)}; the styles are listed "
            f"at {base_url}/en/paintings-by-style"
        )
    for style in tuple(wanted):
        for painting in _listed(load, style, base_url):
            yield painting, functools.partial(session.fetch, painting.url)
            if style not in wanted:
                break


def _listed(
    load: Callable[[str, int], list[Any]], style: str, base_url: str
) -> Iterator[Painting]:
    """A style's paintings, each once, up to a page that brings no new one."""
    seen: set[str] = set()
    for number in range(1, _MAX_PAGES + 1):
        num_before = len(seen)
        for entry in load(style, number):
            painting = _parse(style, entry, base_url)
            if painting.id not in seen:
                seen.add(painting.id)
                yield painting
        if len(seen) == num_before:
            return


def _entries(path: Path) -> list[Any]:
    content = path.read_bytes()
    try:
        page = json.loads(content)
        entries = page["Paintings"] or []
    except (ValueError, RecursionError, LookupError, TypeError):
        entries = None
    if not isinstance(entries, list):
        start = content[:60].decode("utf-8", "replace")
        raise TryAgain(f"not a listing's JSON but {start!r}")
    return entries


def _parse(style: str, entry: Any, base_url: str) -> Painting:
    entry = entry if isinstance(entry, dict) else {}
    listed_id = plain_text(entry.get("id"))
    url, page = entry.get("image"), entry.get("paintingUrl")
    if not isinstance(url, str) or not url.isprintable() or len(url) > _MAX_URL_LENGTH:
        url = ""
    flaw = "WikiArt withholds the image" if _WITHHELD in url else ""
    if not url:
        flaw = "listed without the image's address"
    if not listed_id:
        flaw = "listed without an id"
    is_page = isinstance(page, str) and page.startswith("/")
    return Painting(
        style=style,
        id=safe_id(listed_id or json.dumps(entry, sort_keys=True)),
        artist=plain_text(entry.get("artistName")),
        title=plain_text(entry.get("title")),
        year=plain_text(entry.get("year")),
        url=url,
        source=plain_text(base_url + page) if is_page else url,
        flaw=flaw,
    )
