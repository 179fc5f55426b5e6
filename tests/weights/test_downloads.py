"""Known files: whole and right in the cache, or nowhere, whatever a server does."""

import contextlib
import dataclasses
import hashlib
import http.server
import random
import re
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
import requests
import tqdm

from jaxart.models import MODELS
from jaxart.storage import StorageError
from jaxart.weights import WeightsError, downloads, known_files
from jaxart.weights.downloads import download
from jaxart.weights.known_files import KnownFile, command_for, find
from tests import servers

CONTENT = random.Random(0).randbytes(300_000)
CHUNK = downloads._CHUNK_BYTES
HALF = 9 * CHUNK
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
NAME = "tiny.npz"


@dataclasses.dataclass
class Resource:
    """What a server has at one path, how it misbehaves, and what it was asked for.

    Attributes:
      content: the bytes.
      headers: sent along; If-Range is compared with those of an ETag or a date.
      status: other than 200, an answer without content.
      takes_ranges: or sends the whole, whatever range is asked for.
      cuts: after how many bytes the connection ends, answer by answer; then not at all.
      requests: the headers of each request.
      sent: the bytes of each answer.
    """

    content: bytes = CONTENT
    headers: dict = dataclasses.field(default_factory=dict)
    status: int = 200
    takes_ranges: bool = True
    cuts: list = dataclasses.field(default_factory=list)
    requests: list = dataclasses.field(default_factory=list)
    sent: list = dataclasses.field(default_factory=list)

    def ranges(self):
        return [headers["Range"] for headers in self.requests]

    def reply(self, handler):
        self.requests.append(handler.headers)
        start, status = self.first_byte(handler.headers), self.status
        if start >= len(self.content):
            status = 416
        elif start:
            status = 206
            last = len(self.content) - 1
            content_range = f"bytes {start}-{last}/{last + 1}"
        body = self.content[start:] if status in (200, 206) else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        if status == 206:
            handler.send_header("Content-Range", content_range)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        body = body[: self.cuts.pop(0)] if self.cuts else body
        self.sent.append(len(body))
        handler.wfile.write(body)

    def first_byte(self, headers):
        if not self.takes_ranges or headers["Range"] is None:
            return 0
        if headers["If-Range"] not in (None, *self.headers.values()):
            return 0
        return int(re.fullmatch(r"bytes=(\d+)-", headers["Range"])[1])


class Endless(Resource):
    """Sends on and on, and says no length."""

    def reply(self, handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):  # so that the test ends, even if it fails
            handler.wfile.write(self.content)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with contextlib.suppress(ConnectionError):  # when the client has had enough
            self.server.resources[self.path].reply(self)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serves `resources`, a resource for each path, under `url`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.resources = {}
    server.url = f"http://127.0.0.1:{server.server_port}"
    with servers.running(server, monkeypatch):
        yield server


@pytest.fixture
def publish(server):
    """Puts a resource on the server; returns its URL."""

    def put(resource, path="/a"):
        server.resources[path] = resource
        return server.url + path

    return put


@pytest.fixture
def dead_url():
    """A URL whose port is closed, and stays so."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def bars(monkeypatch):
    """Every progress bar's settings; the second update of a bar calls `interrupt`."""
    bars = types.SimpleNamespace(settings=[], interrupt=lambda: None)

    class Bar(tqdm.tqdm):
        def __init__(self, **settings):
            bars.settings.append(settings)
            super().__init__(**settings)
            self.num_updates = 0

        def update(self, n):
            self.num_updates += 1
            if self.num_updates == 2:
                bars.interrupt()
            super().update(n)

    monkeypatch.setattr(downloads, "tqdm", Bar)
    return bars


def known(*urls, **fields):
    return KnownFile(NAME, "vgg16", urls, **{"known_hash": SHA256} | fields)


def left_in(cache):
    """The names in the cache; that of the lock says nothing."""
    return {path.name for path in cache.iterdir()} - {f"{NAME}.lock"}


def test_a_download_lands_whole_and_is_not_repeated(publish, tmp_path, capfd):
    resource = Resource()
    file = known(publish(resource))
    path = download(file, tmp_path / "cache")
    assert path == tmp_path / "cache" / NAME
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == {NAME}
    assert download(file, tmp_path / "cache") == path
    assert resource.ranges() == [None]
    assert resource.requests[0]["Accept-Encoding"] == "identity"
    assert capfd.readouterr() == ("", "")  # pooch's hints; a bar without a terminal


def test_a_full_disk_is_said_before_the_transfer_and_the_same_call_goes_on(
    publish, small_disk
):
    resource = Resource()
    file = known(publish(resource), num_bytes=len(CONTENT))
    (small_disk / "filler").write_bytes(bytes((1 << 20) - 200_000))
    with pytest.raises(StorageError) as failed:
        download(file, small_disk)
    said = rf"{NAME}: needs 0\.3 MB on the disk at {small_disk} \(0\.\d MB free\): free"
    assert re.search(said, str(failed.value))
    (small_disk / "filler").unlink()
    assert download(file, small_disk).read_bytes() == CONTENT
    assert left_in(small_disk) == {NAME}


def test_what_a_killed_run_left_of_its_hashing_goes(publish, tmp_path, monkeypatch):
    (tmp_path / "tmpabcd_123").touch()
    downloads._remove_left(tmp_path)
    assert left_in(tmp_path) == {"tmpabcd_123"}  # another may be hashing it
    monkeypatch.setattr(downloads, "_STALE_SECONDS", -1)
    downloads._remove_left(tmp_path)
    assert not left_in(tmp_path)


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_other_hashes(publish, tmp_path, algorithm):
    good = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    url = publish(Resource())
    assert download(known(url, known_hash=good), tmp_path).read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="does not match"):
        download(known(url, known_hash=f"{algorithm}:00"), tmp_path)


def test_a_wrong_file_in_the_cache_is_replaced(publish, tmp_path):
    url = publish(Resource())
    for fields in ({}, {"known_hash": None, "num_bytes": len(CONTENT)}):
        (tmp_path / NAME).write_bytes(b"something else")
        assert download(known(url, **fields), tmp_path).read_bytes() == CONTENT


def test_mirrors_come_first_and_in_order(server, publish, tmp_path, dead_url):
    gone, good, own = Resource(status=404), Resource(), Resource()
    publish(gone, f"/gone/{NAME}")
    publish(good, f"/good/{NAME}")
    mirrors = [dead_url, f"{server.url}/gone", f"{server.url}/good/"]
    path = download(known(publish(own)), tmp_path, mirrors)
    assert path.read_bytes() == CONTENT
    assert [len(r.requests) for r in (gone, good, own)] == [1, 1, 0]


def test_one_error_says_why_of_every_place(publish, tmp_path, dead_url):
    urls = (f"{dead_url}/a", publish(Resource(status=503)), "ftp://127.0.0.1/a")
    with pytest.raises(WeightsError) as caught:
        download(known(*urls), tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{NAME} cannot be downloaded:"
    assert [line.strip() for line in lines[1:7:2]] == list(urls)
    assert "Connection refused" in lines[2]
    assert "Max retries" not in lines[2]  # the URL once more, and no cause
    assert lines[4].strip() == "HTTP status 503 Service Unavailable"
    assert "No connection adapters" in lines[6]
    assert "--src=FILE" in lines[7] and "--mirror=URL" in lines[7]
    assert not left_in(tmp_path)


def test_a_cut_transfer_asks_for_the_rest_only(publish, tmp_path, bars):
    resource = Resource(cuts=[HALF])
    path = download(known(publish(resource)), tmp_path)
    assert path.read_bytes() == CONTENT
    assert resource.ranges() == [None, f"bytes={HALF}-"]
    assert resource.sent == [HALF, len(CONTENT) - HALF]
    assert [bar["initial"] for bar in bars.settings] == [0, HALF]
    assert [bar["total"] for bar in bars.settings] == [len(CONTENT)] * 2
    assert bars.settings[0]["desc"] == NAME


def test_a_cut_within_a_chunk_costs_no_more_than_that(publish, tmp_path):
    resource = Resource(cuts=[HALF + CHUNK // 2])
    assert download(known(publish(resource)), tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None, f"bytes={HALF}-"]


def test_a_cut_is_seen_where_urllib3_does_not_check(publish, tmp_path, monkeypatch):
    """Its versions before 2 take any length."""

    def get(*args, **kwargs):
        response = requests_get(*args, **kwargs)
        response.raw.enforce_content_length = False
        return response

    requests_get = requests.get
    monkeypatch.setattr(requests, "get", get)
    resource = Resource(cuts=[HALF])
    assert download(known(publish(resource)), tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None, f"bytes={HALF}-"]


def test_the_next_call_resumes(publish, tmp_path):
    resource = Resource(cuts=[HALF, *[CHUNK] * (downloads._ATTEMPTS - 1)])
    file = known(publish(resource))
    with pytest.raises(WeightsError, match=r"/a\n +cut off \d times.*: .*"):
        download(file, tmp_path)
    came = sum(resource.sent)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:came]
    assert not (tmp_path / NAME).exists()
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert resource.ranges()[-1] == f"bytes={came}-"
    assert sum(resource.sent) == len(CONTENT)
    assert left_in(tmp_path) == {NAME}


def test_another_place_goes_on_where_a_hash_settles_it(publish, tmp_path):
    first = Resource(cuts=[HALF, *[0] * 9], headers={"ETag": '"one"'})
    second = Resource(headers={"ETag": '"two"'})
    urls = publish(first), publish(second, "/b")
    assert download(known(*urls), tmp_path).read_bytes() == CONTENT
    assert first.requests[1]["If-Range"] == '"one"'
    assert second.ranges() == [f"bytes={HALF}-"]
    assert second.requests[0]["If-Range"] is None


def test_a_wrong_part_from_before_is_not_held_against_a_place(publish, tmp_path):
    resource = Resource()
    (tmp_path / f"{NAME}.part").write_bytes(bytes(1000))
    path = download(known(publish(resource)), tmp_path)
    assert path.read_bytes() == CONTENT
    assert resource.ranges() == ["bytes=1000-", None]


def test_a_server_without_ranges_starts_again(publish, tmp_path):
    resource = Resource(takes_ranges=False, cuts=[HALF])
    assert download(known(publish(resource)), tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize(
    "status, content_range", [(416, f"bytes */{len(CONTENT)}"), (206, "bytes 7-9/10")]
)
def test_an_unfit_range_starts_again(publish, tmp_path, status, content_range):
    class Unfit(Resource):
        def reply(self, handler):
            if not handler.headers["Range"]:
                return super().reply(handler)
            handler.send_response(status)
            handler.send_header("Content-Range", content_range)
            handler.end_headers()
            handler.wfile.write(CONTENT[HALF:])

    resource = Unfit()
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    assert download(known(publish(resource)), tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None]


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("is_changed", [True, False])
def test_a_changed_file_starts_again(publish, tmp_path, header, is_changed):
    """Without a hash, nothing else would notice: the sizes are the same."""
    old = Resource(CONTENT[::-1], {header: '"old"'}, cuts=[HALF, *[0] * 9])
    new = Resource(CONTENT, {header: '"new"'}) if is_changed else old
    file = known(publish(old), known_hash=None, num_bytes=len(CONTENT))
    with pytest.raises(WeightsError):
        download(file, tmp_path)
    publish(new)
    old.cuts.clear()
    assert download(file, tmp_path).read_bytes() == new.content
    assert new.ranges()[-1] == f"bytes={HALF}-"
    assert new.requests[-1]["If-Range"] == '"old"'
    assert new.sent[-1] == len(CONTENT) - (0 if is_changed else HALF)


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_hash_and_validator_nothing_is_resumed(publish, tmp_path, headers):
    resource = Resource(headers=headers, cuts=[HALF])
    file = known(publish(resource), known_hash=None, num_bytes=len(CONTENT))
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None, None]


def test_a_wrong_hash_names_both_and_leaves_nothing(publish, tmp_path):
    url = publish(Resource(b"not this"))
    found = hashlib.sha256(b"not this").hexdigest()
    with pytest.raises(WeightsError) as caught:
        download(known(url), tmp_path)
    message = str(caught.value)
    assert all(word in message for word in (NAME, url, SHA256, found))
    assert not left_in(tmp_path)


def test_a_wrong_mirror_is_passed_over(publish, tmp_path):
    bad, good = Resource(CONTENT[::-1]), Resource()
    urls = publish(bad), publish(good, "/b")
    assert download(known(*urls), tmp_path).read_bytes() == CONTENT
    assert good.ranges() == [None]
    assert len(bad.requests) == 1


@pytest.mark.parametrize("num_bytes", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_wrong_size_is_refused(publish, tmp_path, num_bytes):
    file = known(publish(Resource()), known_hash=None, num_bytes=num_bytes)
    with pytest.raises(WeightsError, match=f"300,000 bytes came, not {num_bytes:,}"):
        download(file, tmp_path)
    assert not left_in(tmp_path)


@pytest.mark.parametrize("num_bytes", [None, 200_000])
def test_an_endless_body_is_bounded(publish, tmp_path, monkeypatch, num_bytes):
    monkeypatch.setattr(downloads, "_MAX_BYTES", 400_000)
    file = known(publish(Endless()), num_bytes=num_bytes)
    with pytest.raises(WeightsError) as caught:
        download(file, tmp_path)
    came, due = re.search("([0-9,]+) bytes came, not (.*)", str(caught.value)).groups()
    assert due == ("at most 400,000" if num_bytes is None else "200,000")
    assert int(came.replace(",", "")) < (num_bytes or 400_000) + 100_000
    assert not left_in(tmp_path)


@pytest.mark.parametrize("page", [b"\n <!DOCTYPE html><p>Log in", b"<HTML>"])
def test_a_page_in_its_place_is_named_and_costs_no_part(publish, tmp_path, page):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    portal, good = Resource(page, takes_ranges=False), Resource()
    with pytest.raises(WeightsError, match="an HTML page came in place of the file"):
        download(known(publish(portal)), tmp_path)
    download(known(publish(good)), tmp_path)
    assert good.ranges() == [f"bytes={HALF}-"]


def test_a_key_press_keeps_the_part(publish, tmp_path, bars):
    def interrupt():
        raise KeyboardInterrupt

    resource = Resource()
    bars.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        download(known(publish(resource)), tmp_path)
    assert left_in(tmp_path) == {f"{NAME}.part", f"{NAME}.part.origin"}
    came = (tmp_path / f"{NAME}.part").stat().st_size
    assert 0 < came < len(CONTENT)
    bars.interrupt = lambda: None
    assert download(known(publish(resource)), tmp_path).read_bytes() == CONTENT
    assert resource.ranges() == [None, f"bytes={came}-"]


def test_two_at_once_download_once(publish, tmp_path):
    class Slow(Resource):
        is_second_here = threading.Event()

        def reply(self, handler):
            if self.requests:
                self.is_second_here.set()
            else:
                second.start()
            super().reply(handler)

        def first_byte(self, headers):
            self.is_second_here.wait(0.15)  # which the lock makes it do in vain
            return super().first_byte(headers)

    resource = Slow()
    file, paths = known(publish(resource)), []
    second = threading.Thread(target=lambda: paths.append(download(file, tmp_path)))
    paths.append(download(file, tmp_path))
    second.join()
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert resource.ranges() == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is of Unix")
def test_the_default_cache_is_the_users(publish, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = download(known(publish(Resource())))
    assert path == tmp_path / "jaxart" / "weights" / NAME
    assert path.read_bytes() == CONTENT


def test_a_proxy_of_the_environment_is_used(server, publish, tmp_path, monkeypatch):
    url = "http://weights.invalid/a"
    publish(Resource(), url)
    monkeypatch.setenv("http_proxy", server.url)
    assert download(known(url), tmp_path).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_one_error(publish, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=f"file/{NAME}: cannot be written: "):
        download(known(publish(Resource())), tmp_path / "file")


def test_the_table():
    names = [file.name for file in known_files.KNOWN_FILES]
    assert len(set(names)) == len(names)
    num_digits = {"sha256": 64, "sha1": 40, "md5": 32}
    for file in known_files.KNOWN_FILES:
        assert file.known_hash or file.num_bytes
        if file.known_hash:
            algorithm, digits = file.known_hash.split(":")
            assert re.fullmatch("[0-9a-f]+", digits)
            assert len(digits) == num_digits[algorithm]
        assert all(re.match("https?://[^/]+/.+", url) for url in file.urls)


def test_find():
    assert find("alexnet").name == "bvlc_alexnet.npy"
    assert find("vgg16").name == "VGG_ILSVRC_16_layers.caffemodel"
    assert find("vgg16", "vgg16_weights.npz").channel_order == "rgb"
    assert find("caffenet").name == "bvlc_reference_caffenet.caffemodel"
    assert find("vgg19").name == "VGG_ILSVRC_19_layers.caffemodel"
    with pytest.raises(WeightsError, match="bvlc_alexnet.npy, bvlc_alexnet.caffemodel"):
        find("alexnet", "vgg16_weights.npz")
    with pytest.raises(WeightsError, match="resnet; known: none"):
        find("resnet")


@pytest.mark.parametrize(
    "path, flags",
    [
        ("bvlc_alexnet.npy", "alexnet --download --out=bvlc_alexnet.safetensors"),
        ("a/bvlc_alexnet.safetensors", "alexnet --download --out=a/bvlc_alexnet.S"),
        (
            "bvlc_alexnet.caffemodel",
            "alexnet --download=bvlc_alexnet.caffemodel --out=bvlc_alexnet.S",
        ),
        (
            "VGG_ILSVRC_16_layers.safetensors",
            "vgg16 --download --out=VGG_ILSVRC_16_layers.S",
        ),
        ("alexnet.npy", "alexnet --download --out=alexnet.S"),
        ("/w/vgg16.safetensors", "vgg16 --download --out=/w/vgg16.S"),
        (
            "vgg16_weights.npz",
            "vgg16 --download=vgg16_weights.npz --out=vgg16_weights.S",
        ),
        (
            "vgg16_weights.safetensors",
            "vgg16 --download=vgg16_weights.npz --out=vgg16_weights.S",
        ),
        (
            "vgg16.tv_in1k.safetensors",
            "vgg16 --download=vgg16.tv_in1k.safetensors --out=vgg16.tv_in1k.S",
        ),
        ("vgg19.safetensors", "vgg19 --download --out=vgg19.S"),
        (
            "bvlc_reference_caffenet.safetensors",
            "caffenet --download --out=bvlc_reference_caffenet.S",
        ),
        ("my files/vgg16.pth", "vgg16 --download --out='my files/vgg16.S'"),
    ],
)
def test_command_for(path, flags):
    flags = re.sub(r"\.S\b", ".safetensors", flags)
    command = f"jaxart convert --model={flags}"
    assert command_for(Path(path)) == command


@pytest.mark.parametrize("model", ["alexnet", "caffenet", "vgg16", "vgg19"])
def test_the_name_that_configs_have_for_a_file_says_its_network(model):
    path = MODELS[model].weight_file
    assert f"--model={model} --download --out={path}" in command_for(Path(path))


@pytest.mark.parametrize("path", ["", "..", "mine.npz", "vgg11.npz", "vgg16/a.npz"])
def test_no_command_for_other_names(path):
    assert command_for(Path(path)) is None


def test_naming_a_file_imports_nothing_slow():
    code = (
        "import sys; from pathlib import Path; "
        "from jaxart.weights.known_files import command_for; "
        "assert command_for(Path('vgg16.npz')); "
        "assert not {'pooch', 'requests', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
