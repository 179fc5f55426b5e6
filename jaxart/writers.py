"""TensorBoard, behind clu's MetricWriter interface.

With TensorFlow installed, clu's own writer serves. Without it, `TensorboardXWriter`
has the same methods; it cannot inherit the interface, because importing
`clu.metric_writers` imports TensorFlow.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorboardX
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboardX.summary import hparams as hparams_summaries

from jaxart import figures

WRITERS = ("auto", "tensorflow", "tensorboardx")


def create_writer(kind: str, logdir: str | os.PathLike) -> Any:
    """A `clu.metric_writers.MetricWriter`, or one that has its methods.

    Args:
      kind: one of `WRITERS`; 'auto' takes TensorFlow where it is installed.
      logdir: folder of the event files.

    Raises:
      ValueError: `kind` is none of `WRITERS`.
      ModuleNotFoundError: 'tensorflow' is asked for and not installed.
    """
    if kind not in WRITERS:
        raise ValueError(f"writer={kind!r}: one of {', '.join(WRITERS)}")
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    if kind == "tensorboardx" or (kind == "auto" and not has_tensorflow):
        return TensorboardXWriter(logdir)
    if not has_tensorflow:
        raise ModuleNotFoundError(
            "writer='tensorflow' needs TensorFlow: pip install 'jaxart[tensorflow]'"
        )
    from clu import metric_writers  # noqa: PLC0415 (imports TensorFlow, about 4 s)

    return metric_writers.create_default_writer(os.fspath(logdir))


def write_training(
    writer: Any, step: int, logs: Mapping[str, Any], learning_rate: float
) -> None:
    """Writes what a training step logs: numbers, and histograms of trained layers.

    Args:
      writer: from `create_writer`.
      step: training steps done.
      logs: from the training step.
      learning_rate: of that step.
    """
    numbers = ("loss", "accuracy", "gradient_norm")
    scalars = {f"train/{name}": float(logs[name]) for name in numbers}
    writer.write_scalars(step, scalars | {"train/learning_rate": learning_rate})
    histograms = {
        f"{layer}/{name}{suffix}": rows
        for kind, suffix in (("value", ""), ("gradient", "/gradient"))
        for layer, arrays in logs["histograms"][kind].items()
        for name, rows in arrays.items()
    }
    write_bucketed(writer, step, histograms)


def write_validation(
    writer: Any, step: int, metrics: Mapping[str, Any], class_names: Sequence[str]
) -> None:
    """Writes an epoch's validation: loss, accuracy, and how each class fared.

    Args:
      writer: from `create_writer`.
      step: training steps done.
      metrics: from `train.evaluate`.
      class_names: what each class is called.
    """
    confusion = metrics["confusion"]
    scalars = {f"val/{name}": metrics[name] for name in ("loss", "accuracy")}
    for i, name in enumerate(class_names):
        if confusion[i].any():  # the class has examples
            scalars[f"val/class_accuracy/{name}"] = confusion[i, i] / confusion[i].sum()
    writer.write_scalars(step, scalars)
    picture = figures.confusion_matrix(confusion, class_names)
    writer.write_images(step, {"val/confusion_matrix": picture})


def markdown_table(fields: Mapping[str, Any]) -> str:
    """A Markdown table of names and values."""
    rows = "".join(f"| {name} | `{value!r}` |\n" for name, value in fields.items())
    return f"| field | value |\n|---|---|\n{rows}"


def write_bucketed(writer: Any, step: int, histograms: Mapping[str, Any]) -> None:
    """Writes histograms that are already bucketed.

    Args:
      writer: from `create_writer`.
      step: training step.
      histograms: by tag, rows of left edge, right edge and count [n, 3].
    """
    metadata = histogram_metadata.create_summary_metadata(
        display_name=None, description=None
    )
    values = {tag: np.asarray(rows) for tag, rows in histograms.items()}
    writer.write_summaries(step, values, metadata=dict.fromkeys(values, metadata))


class TensorboardXWriter:
    """clu's MetricWriter interface on tensorboardX, without TensorFlow."""

    def __init__(self, logdir: str | os.PathLike):
        self._writer = tensorboardX.SummaryWriter(os.fspath(logdir))

    def write_summaries(
        self,
        step: int,
        values: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes bucketed histograms; tensorboardX has no other raw summaries."""
        for tag, rows in values.items():
            plugin = metadata[tag].plugin_data.plugin_name if metadata else None
            if plugin != histogram_metadata.PLUGIN_NAME:
                raise ValueError(
                    f"{tag}: summaries of plugin {plugin!r}; only histograms"
                )
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
        """Writes numbers."""
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, float(value), step)

    def write_images(self, step: int, images: Mapping[str, Any]) -> None:
        """Writes pictures [H, W, C] or [N, H, W, C]."""
        for tag, image in images.items():
            image = np.asarray(image)
            batch = image if image.ndim == 4 else image[None]
            self._writer.add_images(tag, batch, step, dataformats="NHWC")

    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None:
        """Writes videos [T, H, W, C] or [N, T, H, W, C], at tensorboardX's speed."""
        for tag, video in videos.items():
            video = np.asarray(video)
            batch = video if video.ndim == 5 else video[None]
            self._writer.add_video(tag, batch, step, dataformats="NTHWC")

    def write_audios(
        self, step: int, audios: Mapping[str, Any], *, sample_rate: int
    ) -> None:
        """Writes sounds [T, C] or [N, T, C] in [-1, 1]."""
        for tag, audio in audios.items():
            audio = np.asarray(audio)
            for i, one in enumerate(audio if audio.ndim == 3 else audio[None]):
                self._writer.add_audio(f"{tag}/{i}", one, step, sample_rate)

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Writes Markdown."""
        for tag, text in texts.items():
            self._writer.add_text(tag, text, step)

    def write_histograms(
        self,
        step: int,
        arrays: Mapping[str, Any],
        num_buckets: Mapping[str, int] | None = None,
    ) -> None:
        """Writes histograms of arrays, bucketed here; see also `write_bucketed`."""
        for tag, array in arrays.items():
            buckets = (num_buckets or {}).get(tag, 30)
            self._writer.add_histogram(tag, np.asarray(array), step, bins=buckets)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Writes hyper-parameters to the HParams page."""
        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in hparams.items()
        }
        for summary in hparams_summaries(plain, {}):
            self._writer.file_writer.add_summary(summary)

    def flush(self) -> None:
        """Writes out what is still in memory."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self._writer.close()
