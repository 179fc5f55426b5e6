"""Listings: fetched once, kept in the store, parsed from there."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jaxart.wikiart.errors import Missing, Refused, Unavailable, WikiartError
from jaxart.wikiart.session import Session, TryAgain
from jaxart.wikiart.store import Store

T = TypeVar("T")


def load(
    store: Store,
    session: Session,
    url: str,
    name: str,
    *,
    max_bytes: int,
    parse: Callable[[Path], T],
    missing: T | None = None,
) -> T:
    """What a listing says.

    Args:
      store: keeps it.
      session: fetches it, where it is not kept yet.
      url: where it is.
      name: what the store calls it.
      max_bytes: how large it may be.
      parse: reads it; raises `TryAgain` where it is not what it should be.
      missing: what to return where the site says that there is none; None makes that
        an error.

    Raises:
      WikiartError: it cannot be had or read.
    """
    fetch = functools.partial(session.fetch, url, max_bytes=max_bytes, check=parse)
    try:
        path = store.page(name, fetch)
    except (Refused, Unavailable) as error:
        if isinstance(error, Missing) and missing is not None:
            return missing
        raise WikiartError(f"{url}: {error}") from error
    try:
        return parse(path)
    except TryAgain as error:
        raise WikiartError(f"{path}: {error}; delete it") from error
