"""Polite requests: one after the other, with pauses, to known hosts only, bounded."""

import datetime
import logging
import math
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import requests
from urllib3.exceptions import InvalidHeader, LocationParseError
from urllib3.util import parse_url
from urllib3.util.retry import Retry

from jaxart import __version__
from jaxart.paintings.download.errors import Missing, Refused, Unavailable, WikiartError

MAX_IMAGE_BYTES = 100_000_000
ATTEMPTS = 5
MAX_REDIRECTS = 5
LONGEST_WAIT_S = 600  # a site that asks for more ends the run
_TIMEOUTS_S = (20, 60)  # to connect, between two reads
_CHUNK_BYTES = 1 << 16
_DOMAIN = "wikiart.org"

_log = logging.getLogger(__name__)


class TryAgain(Exception):
    """What came may be better next time, `after_s` seconds if the site says so."""

    def __init__(self, reason: str, after_s: float = 0.0):
        super().__init__(reason)
        self.after_s = after_s


class Session:
    """Requests to WikiArt's hosts and those of the URLs given, and no others.

    A request starts `delay_s` seconds after the last one was answered, whatever it
    was for: another page, an image, a redirect or another attempt.
    """

    def __init__(self, *urls: str, delay_s: float):
        self._netlocs = {parse_url(url).netloc for url in urls}
        self._delay_s = delay_s
        self._next_start = 0.0
        self._requests = _WithoutRedirects()
        self._requests.headers["User-Agent"] = f"jaxart/{__version__}"
        self._requests.headers["Accept-Encoding"] = "identity"  # lengths are the files'

    def fetch(
        self,
        url: str,
        path: Path,
        max_bytes: int = MAX_IMAGE_BYTES,
        check: Callable[[Path], object] = lambda path: None,
    ) -> None:
        """Writes what is at a URL to a file, which is half written after an error.

        `check` looks at the file, and raises `TryAgain` where it is not what it should
        be.

        Raises:
          Refused: it is missing (`Missing`) or too large, or another host has it.
          Unavailable: there was no good answer, after all attempts.
          WikiartError: the site asks for a long pause.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._receive(url, path, max_bytes)
                check(path)
                return
            except TryAgain as error:
                reason, after_s = str(error), error.after_s
            except requests.RequestException as error:
                reason, after_s = _describe(error), 0.0
            wait_s = max(after_s, self._delay_s * 2 ** (attempt + 1))
            self._next_start = time.monotonic() + wait_s
            if after_s > LONGEST_WAIT_S:
                wait = datetime.timedelta(seconds=min(after_s, 1e8))
                end = datetime.datetime.now() + wait
                raise WikiartError(
                    f"{url}: the site asks to wait until {end:%Y-%m-%d %H:%M}; the "
                    "same command goes on from here then"
                )
            if after_s:
                _log.warning("%s: %s; it asks to wait %.0f s", url, reason, after_s)
        raise Unavailable(f"{reason}, after {ATTEMPTS} attempts")

    def _receive(self, url: str, path: Path, max_bytes: int) -> None:
        """Makes one attempt, which may lead over several redirects."""
        for _ in range(MAX_REDIRECTS + 1):
            self._require_known_host(url)
            with self._get(url) as response:
                if not response.is_redirect:
                    _require_success(response)
                    return _write(response, path, max_bytes)
                location = response.headers["Location"]
            try:
                url = urllib.parse.urljoin(url, location)
            except ValueError:
                raise Refused(f"a redirect to {location!r}") from None
        raise Refused(f"more than {MAX_REDIRECTS} redirects")

    def _get(self, url: str) -> requests.Response:
        time.sleep(max(0.0, self._next_start - time.monotonic()))
        try:
            return self._requests.get(url, stream=True, timeout=_TIMEOUTS_S)
        finally:
            self._next_start = time.monotonic() + self._delay_s

    def _require_known_host(self, url: str) -> None:
        try:
            parts = parse_url(url)  # which is requests' own view of it
        except LocationParseError:
            raise Refused(f"no URL: {url!r}") from None
        host = parts.host or ""
        is_known = parts.netloc in self._netlocs or host == _DOMAIN
        if parts.scheme not in ("http", "https") or not (
            is_known or host.endswith(f".{_DOMAIN}")
        ):
            raise Refused(f"not a place of the site: {url!r}")


class _WithoutRedirects(requests.Session):
    """requests would follow before the host is known, and read a redirect's body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _require_success(response: requests.Response) -> None:
    status = response.status_code
    reason = f"HTTP status {status} {response.reason}"
    if status in (404, 410):
        raise Missing(reason)
    if status in (408, 429) or status >= 500:
        after = response.headers.get("Retry-After") if status in (429, 503) else None
        raise TryAgain(reason, _seconds(after))
    if status != 200:
        raise Unavailable(reason)


def _seconds(retry_after: str | None) -> float:
    """How long Retry-After, seconds or a date, asks to wait; nonsense asks for none."""
    if retry_after is None:
        return 0.0
    try:
        return float(Retry().parse_retry_after(retry_after))
    except OverflowError:
        return math.inf
    except (InvalidHeader, ValueError):
        return 0.0


def _write(response: requests.Response, path: Path, max_bytes: int) -> None:
    with open(path, "wb") as stream:
        for chunk in response.iter_content(_CHUNK_BYTES):
            if stream.tell() + len(chunk) > max_bytes:
                raise Refused(f"more than {max_bytes:,} bytes")
            stream.write(chunk)


def _describe(error: Exception) -> str:
    """One line; requests' own text would repeat the URL."""
    cause = error.args[0] if error.args else error
    return " ".join(str(getattr(cause, "reason", cause)).split())
