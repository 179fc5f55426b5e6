"""Serves the page, on this machine only unless it is told otherwise."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxart.app import style
from jaxart.face import TrainedNetwork, load
from jaxart.storage import AnyPath

MAX_UPLOAD = "100mb"


def networks_of(sources: Sequence[AnyPath]) -> dict[str, TrainedNetwork]:
    """The networks of runs and weight files, by names that tell them apart.

    Raises:
      ValueError: one cannot be loaded.
    """
    networks = {}
    for source in sources:
        name = source.name if source.name not in networks else str(source)
        networks[name] = load(str(source))
    return networks


@contextlib.contextmanager
def serve(
    networks: dict[str, TrainedNetwork],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = False,
) -> Iterator[Any]:
    """Serves while the block runs; what was uploaded goes at its end.

    Yields:
      Gradio's page, with `local_url` and `block_thread()`.

    Raises:
      ModuleNotFoundError: Gradio is not installed.
      OSError: the port is taken.
    """
    try:
        from jaxart.app import interface  # noqa: PLC0415  (the extra `app`)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "gradio":
            raise
        raise ModuleNotFoundError(
            "the explorer needs the package gradio: pip install 'jaxart[app]'"
        ) from None
    with tempfile.TemporaryDirectory(prefix="jaxart.app.") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # and it serves nothing else
        page = interface.build(networks, Path(folder))
        page.queue(api_open=False)
        page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            share=False,
            quiet=True,
            max_file_size=MAX_UPLOAD,
            footer_links=[],
            css=style.CSS,
            theme=interface.THEME,
            enable_monitoring=False,
            ssr_mode=False,
            prevent_thread_lock=True,
        )
        try:
            yield page
        finally:
            page.close(verbose=False)
