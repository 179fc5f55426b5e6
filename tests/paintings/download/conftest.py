"""A site, and a way to download from it."""

import contextlib
import functools

import pytest

from jaxart.paintings.download import site as wikiart_site
from jaxart.paintings.download.download import Run
from jaxart.paintings.download.session import Session
from jaxart.paintings.download.store import opened
from tests.paintings.download.fake_site import serving

DELAY_S = 0.002


@pytest.fixture
def site(monkeypatch):
    with serving(monkeypatch) as site:
        yield site


@pytest.fixture
def session(site):
    session = Session(site.url, delay_s=DELAY_S)
    with contextlib.closing(session._requests):
        yield session


@pytest.fixture
def download(site, session, tmp_path):
    """Runs to the end, with the tables; returns the run."""

    def run(styles, per_style, out=tmp_path / "out", max_bytes=10**9):
        with opened(out, max_bytes) as store:
            run = Run(store, styles, per_style)
            try:
                run.collect(
                    functools.partial(
                        wikiart_site.offers,
                        store=store,
                        session=session,
                        base_url=site.url,
                    )
                )
            finally:
                store.write_tables(run.failed_now)
        return run

    return run
