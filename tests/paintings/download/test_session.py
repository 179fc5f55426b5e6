"""Requests: how many, how far apart, whereto, and how much is taken."""

import datetime
import email.utils
import itertools

import pytest

import jaxart
from jaxart.paintings.download import session as session_module
from jaxart.paintings.download.errors import Missing, Refused, Unavailable, WikiartError
from jaxart.paintings.download.session import ATTEMPTS, MAX_REDIRECTS, Session, TryAgain
from tests.paintings.download.conftest import DELAY_S
from tests.paintings.download.fake_site import Answer

BODY = b"painting" * 1000
GOOD = Answer(BODY)


@pytest.fixture
def fetch(site, session, tmp_path):
    """Fetches what the site answers at a path, one answer after the other."""

    def fetch(*answers, session=session, url=f"{site.url}/a", **settings):
        site.answers["/a"] = list(answers)
        path = tmp_path / "file"
        session.fetch(url, path, **{"max_bytes": 10**6} | settings)
        return path.read_bytes()

    return fetch


def gaps(site):
    times = [request.time for request in site.log]
    return [later - sooner for sooner, later in itertools.pairwise(times)]


def test_a_request_says_who_asks(site, fetch):
    assert fetch(GOOD) == BODY
    assert site.log[0].headers["User-Agent"] == f"jaxart/{jaxart.__version__}"


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=500),
        Answer(status=503),
        Answer(status=429),
        Answer(status=429, headers={"Retry-After": "soon"}),
        Answer(BODY[:5000], surplus=3000),
        Answer(b"", surplus=8000),
    ],
    ids=lambda bad: f"{bad.status}-{bad.surplus}-{len(bad.headers)}",
)
def test_what_may_pass_is_tried_again(site, fetch, bad):
    assert fetch(*[bad] * (ATTEMPTS - 1), GOOD) == BODY
    assert len(site.log) == ATTEMPTS
    with pytest.raises(Unavailable, match=f"after {ATTEMPTS} attempts"):
        fetch(*[bad] * ATTEMPTS, GOOD)
    assert len(site.log) == 2 * ATTEMPTS


def test_a_check_asks_again(site, fetch):
    def check(path):
        if path.read_bytes() != BODY:
            raise TryAgain("no listing")

    page = Answer(b"<html>Just a moment...")
    assert fetch(page, page, GOOD, check=check) == BODY
    with pytest.raises(Unavailable, match="no listing, after 5 attempts"):
        fetch(page, check=check)


def test_a_host_that_is_down(site, fetch):
    with pytest.raises(Refused):
        fetch(url="http://127.0.0.1:1/a")
    session = Session("http://127.0.0.1:1", delay_s=DELAY_S)
    with pytest.raises(Unavailable, match="after 5 attempts"):
        fetch(url="http://127.0.0.1:1/a", session=session)


def test_a_site_that_never_answers(site, fetch, monkeypatch):
    monkeypatch.setattr(session_module, "_TIMEOUTS_S", (1, 0.02))
    with pytest.raises(Unavailable, match="Read timed out"):
        fetch(Answer(BODY, pause_s=0.1))
    assert len(site.log) == ATTEMPTS


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_missing_is_not_asked_for_again(site, fetch, status):
    with pytest.raises(Missing, match=f"HTTP status {status}"):
        fetch(Answer(status=status))
    assert len(site.log) == 1


@pytest.mark.parametrize("status", [204, 401, 403])
def test_a_site_that_says_no_is_not_pressed(site, fetch, status):
    with pytest.raises(Unavailable, match=f"HTTP status {status}"):
        fetch(Answer(status=status))
    assert len(site.log) == 1


def test_requests_keep_their_distance(site, fetch):
    """Also attempts and redirects; waits after failures grow."""
    delay_s = 0.05
    session = Session(site.url, delay_s=delay_s)
    site.answers["/b"] = [Answer(status=302, headers={"Location": "/a"})]
    fetch(GOOD, session=session)
    fetch(GOOD, session=session)
    fetch(GOOD, session=session, url=f"{site.url}/b")
    fetch(Answer(status=500), Answer(status=500), GOOD, session=session)
    assert site.paths() == ["/a", "/a", "/b", "/a", "/a", "/a", "/a"]
    assert min(gaps(site)) >= delay_s
    assert gaps(site)[-2] >= 2 * delay_s
    assert gaps(site)[-1] >= 4 * delay_s


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(site, fetch, status):
    fetch(Answer(status=status, headers={"Retry-After": "1"}), GOOD)
    assert gaps(site)[0] >= 1


def test_retry_after_may_be_a_date(site, fetch):
    date = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    date += datetime.timedelta(seconds=2)
    text = email.utils.format_datetime(date, usegmt=True)
    fetch(Answer(status=503, headers={"Retry-After": text}), GOOD)
    assert len(site.log) == 2
    is_early = datetime.timedelta(seconds=0.1)  # clocks are set now and then
    assert datetime.datetime.now(datetime.UTC) > date - is_early


@pytest.mark.parametrize("seconds", ["601", "9" * 400])
def test_a_long_wait_ends_the_run(site, fetch, seconds):
    with pytest.raises(WikiartError, match="asks to wait until 2.*goes on") as caught:
        fetch(Answer(status=429, headers={"Retry-After": seconds}), GOOD)
    assert not isinstance(caught.value, Refused | Unavailable)
    assert len(site.log) == 1


@pytest.mark.parametrize("is_endless", [True, False])
def test_more_than_the_bound_is_cut(site, fetch, tmp_path, is_endless):
    body = bytes(100_000)
    with pytest.raises(Refused, match="more than 150,000 bytes"):
        fetch(Answer(body * 2, is_endless=is_endless), max_bytes=150_000)
    assert (tmp_path / "file").stat().st_size <= 150_000
    assert fetch(Answer(body), max_bytes=100_000) == body


def test_redirects_within_the_site_are_followed(site, fetch):
    site.answers["/b"] = [GOOD]
    for location in ("/b", "b", f"{site.url}/b"):
        assert fetch(Answer(status=301, headers={"Location": location})) == BODY


def test_redirects_are_bounded(site, fetch):
    with pytest.raises(Refused, match=f"more than {MAX_REDIRECTS} redirects"):
        fetch(Answer(b"x" * 50_000, 302, {"Location": "/a"}))
    assert len(site.log) == MAX_REDIRECTS + 1


def test_an_endless_redirect_is_not_read(site, fetch):
    start = Answer(bytes(10**6), 302, {"Location": "/b"}, is_endless=True)
    site.answers["/b"] = [GOOD]
    assert fetch(start) == BODY
    assert len(site.log) == 2


def foreign_urls(site):
    port = site.server_port
    return [
        f"http://localhost:{port}/a",
        f"http://localhost:{port}\\@127.0.0.1:{port}/a",
        f"http://127.0.0.1:{port}@localhost:{port}/a",
        f"http://127.0.0.1:{port + 1}/a",
        f"ftp://127.0.0.1:{port}/a",
        "file:///etc/passwd",
        "/etc/passwd",
        "//localhost/a",
        "http://wikiart.org.example/a",
        "http://notwikiart.org/a",
        "http://[::1/a",
        "http://\0/a",
        " http://localhost/a",
        "",
    ]


def test_other_hosts_are_refused(site, fetch):
    for url in foreign_urls(site):
        with pytest.raises(Refused):
            fetch(GOOD, url=url)
    assert not site.log


def test_redirects_to_other_hosts_are_refused(site, fetch):
    urls = [url for url in foreign_urls(site) if "://" in url and "\0" not in url]
    for url in urls:
        site.log.clear()
        with pytest.raises(Refused):
            fetch(Answer(status=302, headers={"Location": url}))
        assert len(site.log) == 1


@pytest.mark.parametrize(
    "host", ["wikiart.org", "www.wikiart.org", "UPLOADS3.WikiArt.org"]
)
def test_hosts_of_wikiart_are_known(fetch, monkeypatch, host):
    """They are asked, through what the environment says is the way there."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="proxy"):
        fetch(url=f"http://{host}/a")
