"""Servers of this machine, while a test needs them."""

import contextlib
import threading


@contextlib.contextmanager
def running(server, monkeypatch):
    """Serves in a thread; no proxy stands between."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
