"""Reads TensorBoard's event files back."""

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator,
)
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


def read(workdir):
    """Everything that TensorBoard shows: {tag: {step: value}}, whoever wrote it.

    Numbers are floats, histograms are counts by right edge, pictures and texts bytes.
    No step stands there twice, but for the HParams page's, of which the first counts.
    """
    events = _loaded(workdir)
    read = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        keep = dict if plugin == "hparams" else _once
        read[tag] = keep(
            (e.step, _tensor(plugin, tensor_util.make_ndarray(e.tensor_proto)))
            for e in events.Tensors(tag)
        )
    return read


def all_tags(workdir):
    """Every tag that has a plugin, even without values."""
    return set(_loaded(workdir).summary_metadata)


def _loaded(workdir):
    return EventAccumulator(str(workdir), size_guidance={"tensors": 0}).Reload()


def _once(steps_and_values):
    """{step: value}, of steps that rise."""
    items = list(steps_and_values)
    steps = [step for step, _ in items]
    assert steps == sorted(set(steps)), steps
    return dict(items)


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
