"""Reads TensorBoard's event files back."""

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)
from tensorboard.util import tensor_util

UNLIMITED = {"scalars": 0, "tensors": 0, "histograms": 0, "images": 0}


def read(workdir):
    """Everything that was written: {tag: {step: value}}, whichever writer wrote it.

    Numbers are floats, histograms are counts by right edge, pictures and texts bytes.
    """
    events = EventAccumulator(str(workdir), size_guidance=UNLIMITED).Reload()
    tags = events.Tags()
    found = {
        tag: {e.step: e.value for e in events.Scalars(tag)} for tag in tags["scalars"]
    }
    for tag in tags["images"]:
        found[tag] = {e.step: e.encoded_image_string for e in events.Images(tag)}
    for tag in tags["histograms"]:
        found[tag] = {
            e.step: dict(
                zip(
                    e.histogram_value.bucket_limit,
                    e.histogram_value.bucket,
                    strict=True,
                )
            )
            for e in events.Histograms(tag)
        }
    for tag in tags["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        found[tag] = {
            e.step: _tensor(plugin, tensor_util.make_ndarray(e.tensor_proto))
            for e in events.Tensors(tag)
        }
    return found


def all_tags(workdir):
    """Every tag that has a plugin, even without values."""
    events = EventAccumulator(str(workdir)).Reload()
    return set(events.summary_metadata)


def _tensor(plugin, array):
    if plugin == "scalars":
        return float(array)
    if plugin == "histograms":
        return dict(zip(array[:, 1].tolist(), array[:, 2].tolist(), strict=True))
    if plugin == "images":  # width, height, then a PNG each
        return np.ravel(array)[2]
    return next(iter(np.ravel(array)), None)  # hyper-parameters have only metadata


def hparams(logdir):
    """The rows of TensorBoard's HParams page: {run: (hyper-parameters, metrics)}."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    backend = backend_context.Context(
        TBContext(logdir=str(logdir), multiplexer=multiplexer, data_provider=provider)
    )
    request = RequestContext()
    every = api_pb2.ListSessionGroupsRequest(
        slice_size=100,
        allowed_statuses=api_pb2.Status.values(),
        aggregation_type=api_pb2.AGGREGATION_AVG,
    )
    experiment = get_experiment.Handler(
        request, backend, "", api_pb2.GetExperimentRequest(experiment_name="")
    ).run()
    every.col_params.extend(
        api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos
    )
    groups = list_session_groups.Handler(request, backend, "", every).run()
    return {
        session.name: (
            {k: getattr(v, v.WhichOneof("kind")) for k, v in group.hparams.items()},
            {value.name.tag: value.value for value in session.metric_values},
        )
        for group in groups.session_groups
        for session in group.sessions
    }
