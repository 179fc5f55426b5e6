"""TensorBoard event files, behind clu's MetricWriter interface.

`TensorboardXWriter` has clu's methods; it cannot inherit the interface, because
importing `clu.metric_writers` imports TensorFlow, which takes longer than everything
else before the first step. Who asks for it gets clu's own writer.
"""

import importlib.util
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tensorboard.plugins.histogram import metadata as histogram_metadata

from jaxart import storage
from jaxart.storage import AnyPath, RemotePath, disk
from jaxart.training.config import Writer

_SECOND = re.compile(r"events\.out\.tfevents\.(\d+)\.")

logger = logging.getLogger(__name__)


def check_installed(kind: Writer) -> None:
    """Raises a ModuleNotFoundError where a writer's package is not installed."""
    if kind == "tensorflow" and importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            "writer='tensorflow' needs TensorFlow: pip install 'jaxart[tensorflow]'"
        )


def create_writer(
    kind: Writer, logdir: AnyPath, *, first_step: int = 0, to_disk: bool = True
) -> Any:
    """A `clu.metric_writers.MetricWriter`, or one that has its methods.

    What earlier sessions wrote in `logdir` of `first_step` and later no longer counts.
    Event files of a `logdir` that is a URL are put there at each flush. `to_disk=False`
    writes nothing: in all processes of a run but the first.
    """
    if isinstance(logdir, RemotePath) and to_disk:
        return RemoteWriter(kind, logdir, first_step)
    if to_disk:
        _await_another_second(logdir)
    writer = TensorboardXWriter(logdir, first_step, to_disk)
    if kind == "tensorboardx" or not to_disk:
        return writer
    writer.close()  # clu has no call for a session's start: a file of its own says it
    from clu import metric_writers  # noqa: PLC0415 (imports TensorFlow)

    return metric_writers.create_default_writer(os.fspath(logdir))


def _await_another_second(logdir: AnyPath) -> None:
    """Waits while event files would be called as an earlier session's, or sort before.

    Their names have the second, and TensorBoard reads them by their names.
    """
    names = map(_SECOND.match, storage.names_in(logdir))
    earlier = max((int(name[1]) for name in names if name), default=0)
    wait = earlier + 1 - time.time()
    if 0 < wait <= 1:  # a clock that was set is not waited for
        time.sleep(wait)


class TensorboardXWriter:
    """clu's MetricWriter interface on tensorboardX, without TensorFlow.

    As clu's own TensorBoard writer, it leaves videos and sounds out.
    """

    def __init__(self, logdir: AnyPath, first_step: int = 0, to_disk: bool = True):
        self._library = _import_tensorboardx()
        self._writer = self._library.SummaryWriter(
            os.fspath(logdir), purge_step=first_step, write_to_disk=to_disk
        )
        if to_disk:
            events = self._writer.file_writer.event_writer
            _write_directly(events, storage.require_local(logdir, "logdir"))

    def write_summaries(
        self,
        step: int,
        values: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes bucketed histograms: rows of left edge, right edge and count [n, 3].

        Raises:
          ValueError: a summary is of another plugin than TensorBoard's histograms.
        """
        for tag, rows in values.items():
            plugin = metadata[tag].plugin_data.plugin_name if metadata else None
            if plugin != histogram_metadata.PLUGIN_NAME:
                raise ValueError(f"{tag}: a summary of plugin {plugin!r}, no histogram")
            left, right, counts = np.asarray(rows, np.float64).T
            centres = (left + right) / 2
            self._writer.add_histogram_raw(
                tag,
                min=left[0],
                max=right[-1],
                num=counts.sum(),
                sum=(counts * centres).sum(),
                sum_squares=(counts * centres**2).sum(),
                bucket_limits=right.tolist(),
                bucket_counts=counts.tolist(),
                global_step=step,
            )

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, float(value), step)

    def write_images(self, step: int, images: Mapping[str, Any]) -> None:
        for tag, image in images.items():
            image = np.asarray(image)
            layout = "HWC" if image.ndim == 3 else "NHWC"
            self._writer.add_image(tag, image, step, dataformats=layout)

    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None:
        logger.warning("step %d: videos %s are not written", step, list(videos))

    def write_audios(
        self, step: int, audios: Mapping[str, Any], *, sample_rate: int
    ) -> None:
        logger.warning("step %d: sounds %s are not written", step, list(audios))

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        for tag, text in texts.items():
            self._writer.add_text(tag, text, step)

    def write_histograms(
        self,
        step: int,
        arrays: Mapping[str, Any],
        num_buckets: Mapping[str, int] | None = None,
    ) -> None:
        for tag, array in arrays.items():
            buckets = (num_buckets or {}).get(tag, 30)
            self._writer.add_histogram(tag, np.asarray(array), step, bins=buckets)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Writes hyper-parameters, numbers and texts, for the HParams page.

        Not tensorboardX's list of all there are: the page would take it for all runs'.
        """
        _, start, _ = self._library.summary.hparams(dict(hparams), {})
        self._writer.file_writer.add_summary(start)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class RemoteWriter:
    """A writer whose event files are put into an object store, where nothing grows."""

    def __init__(self, kind: Writer, logdir: RemotePath, first_step: int):
        self._logdir = logdir
        self._folder = tempfile.TemporaryDirectory(prefix="jaxart.")
        folder = Path(self._folder.name)
        self._writer = create_writer(kind, folder, first_step=first_step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def flush(self) -> None:
        """Puts what is written so far."""
        self._writer.flush()
        self._put()

    def close(self) -> None:
        self._writer.close()
        self._put()
        self._folder.cleanup()

    def _put(self) -> None:
        for file in Path(self._folder.name).iterdir():
            (self._logdir / file.name).upload(file)


def _write_directly(events: Any, folder: Path) -> None:
    """Has tensorboardX write an event when it is given one, in the caller's thread.

    Its own thread ends where a disk is full, and who gives it events then waits for
    ever; and what is flushed is not what was given before.
    """
    events._worker.stop()
    writer = events._ev_writer
    for name in ("write_event", "flush", "close"):
        setattr(writer, name, disk.named(folder)(getattr(writer, name)))
    events.add_event = writer.write_event


def _import_tensorboardx() -> ModuleType:
    """Imports tensorboardX without PyTorch.

    It would import PyTorch wherever that is installed, to draw PyTorch's graphs; that
    takes nearly as long as all other imports of a run.
    """
    modules: dict[str, Any] = sys.modules  # of modules, and of None
    imported = {"torch": modules["torch"]} if "torch" in modules else {}
    modules["torch"] = None  # what is None cannot be imported
    try:
        return importlib.import_module("tensorboardX")
    finally:
        del modules["torch"]
        modules.update(imported)
