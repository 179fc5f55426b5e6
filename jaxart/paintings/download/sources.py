"""Where paintings come from, by the name that a command gives it."""

import functools

from jaxart.paintings.download import artgan, hugging_face, site
from jaxart.paintings.download.download import Source
from jaxart.paintings.download.session import Session
from jaxart.paintings.download.store import Store

SOURCES = ("wikiart", "hf", "artgan")


def find(
    name: str, store: Store, *, base_url: str | None, lists_url: str, delay_s: float
) -> Source:
    """A source's offers, to be fetched into a store.

    `name` is one of `SOURCES`; `base_url` is another address of the site, or None.
    """
    if name == "hf":
        return hugging_face.offers
    if name == "artgan":
        url = base_url or artgan.IMAGES_URL
        return functools.partial(
            artgan.offers,
            store=store,
            session=Session(url, lists_url, delay_s=delay_s),
            lists_url=lists_url,
            images_url=url,
        )
    url = base_url or site.BASE_URL
    session = Session(url, delay_s=delay_s)
    return functools.partial(site.offers, store=store, session=session, base_url=url)
