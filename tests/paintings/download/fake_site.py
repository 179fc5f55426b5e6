"""A WikiArt of this machine: it lists paintings, has their images, and misbehaves."""

import contextlib
import dataclasses
import functools
import http.server
import io
import json
import time
import urllib.parse

from PIL import Image

from tests import servers

PAGE_SIZE = 5


@dataclasses.dataclass
class Answer:
    """What the site says at a path.

    Attributes:
      body: what it sends.
      status: the HTTP status.
      headers: sent along.
      surplus: how many bytes more it announces than it sends.
      is_endless: whether it sends the body again and again, and announces no length.
      pause_s: how long it thinks before.
    """

    body: bytes = b""
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    surplus: int = 0
    is_endless: bool = False
    pause_s: float = 0.0


@dataclasses.dataclass
class Request:
    """One that came.

    Attributes:
      path: what was asked for, still quoted.
      time: when it came, in seconds.
      headers: its headers.
      is_whole: whether the answer was a good one, and all of it was sent.
    """

    path: str
    time: float
    headers: dict
    is_whole: bool = False


class FakeSite(http.server.ThreadingHTTPServer):
    """The site.

    Attributes:
      url: where it is.
      answers: for a path, what it answers, one after the other; the last one stays.
      log: the requests.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = {}
        self.log = []

    def list_style(self, style, entries):
        """Lists paintings, `PAGE_SIZE` a page, and a page that has none."""
        path = f"/en/paintings-by-style/{style}"
        for number in range(1, len(entries) // PAGE_SIZE + 3):
            start = (number - 1) * PAGE_SIZE
            page = {
                "Paintings": entries[start : start + PAGE_SIZE] or None,
                "AllPaintingsCount": len(entries),
                "PageSize": PAGE_SIZE,
            }
            key = f"{path}?select=featured&json=2&page={number}"
            self.answers[key] = [Answer(json.dumps(page).encode())]

    def paint(self, number, **fields):
        """A painting's entry; its image is there from now on."""
        path = f"/images/artist/{number}.jpg!Large.jpg"
        self.answers[path] = [Answer(picture(number))]
        entry = {
            "id": f"{number:024x}",
            "title": f"Étude, no. {number}",
            "year": (None, "1889", 1900)[number % 3],
            "width": 48,
            "height": 40,
            "artistName": "Zoë",
            "image": self.url + path,
            "paintingUrl": f"/en/artist/{number}",
        }
        return entry | fields

    def misbehave(self, number, *answers):
        """What comes at a painting's image before the image, or in place of it."""
        path = f"/images/artist/{number}.jpg!Large.jpg"
        self.answers[path] = [*answers, *self.answers[path]]

    def paths(self):
        """What was asked for, in order."""
        return [request.path for request in self.log]

    def whole(self):
        """The paths that were answered well and in full, in order."""
        return [request.path for request in self.log if request.is_whole]


@functools.cache
def picture(number):
    """A JPEG file."""
    colour = (37 * number % 256, 91 * number % 256, 53 * number % 256)
    stream = io.BytesIO()
    Image.new("RGB", (48, 40), colour).save(stream, "JPEG")
    return stream.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        request = Request(self.path, time.monotonic(), dict(self.headers))
        self.server.log.append(request)
        path = urllib.parse.unquote(self.path)
        answers = self.server.answers.get(path, [Answer(status=404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        time.sleep(answer.pause_s)
        self.send_response(answer.status)
        if not answer.is_endless:
            length = len(answer.body) + answer.surplus
            self.send_header("Content-Length", str(length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)
            for _ in range(2000 if answer.is_endless else 0):
                self.wfile.write(answer.body)
            self.wfile.flush()
            request.is_whole = answer.status == 200 and not answer.surplus
        self.close_connection = bool(answer.surplus or answer.is_endless)

    def do_HEAD(self):
        self.do_GET()

    def handle(self):
        with contextlib.suppress(ConnectionError):  # when the client was killed
            super().handle()

    def log_message(self, *args):
        pass


def serving(monkeypatch):
    """A site that is up."""
    return servers.running(FakeSite(), monkeypatch)
