"""Parts on a Ray cluster: Ray Data hands them to actors, retries, and grows.

An actor opens the work once, does parts as one device does, and writes their records;
what it sends back is how it went. A part whose actor dies each time is done item by
item, so that the one that kills it is skipped, and nothing else.
"""

import functools
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxart.passes import local
from jaxart.passes.folder import Folder, Part
from jaxart.passes.work import Item, Opened, Results, Work

NUM_RETRIES = 3  # of a part whose actor dies, before it is done item by item

logger = logging.getLogger(__name__)


class Cluster(NamedTuple):
    """Where a pass runs, if not in this process.

    The address is a Ray cluster's, or 'auto' for the one that this machine is part of;
    or for this machine alone, where it is part of none.
    """

    address: str
    num_cpus: float = 1  # of an actor, where the cluster has no GPUs


class ClusterError(ValueError):
    """There is no cluster to run on; the message says what to do."""


def run_parts(
    work: Work, parts: Sequence[Part], folder: Folder, cluster: Cluster
) -> Iterator[local.Progress]:
    """Does those parts that are not done, and tells how it goes, in any order.

    Raises:
      ClusterError: Ray is not installed, or does not answer.
    """
    ray = _connect(cluster.address)
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    needed = {"num_gpus": 1} if has_gpus else {"num_cpus": cluster.num_cpus}
    # Only an actor makes the work anew: that may load a network.
    arguments = (ray.cloudpickle.dumps(work), folder)
    left = {part.number: part for part in parts}
    for said in _map(ray, parts, arguments, needed):
        part = left.pop(said["number"])
        yield local.Progress(part, said["name"], len(part.items), said["is_new"], True)
    alone = ray.remote(**needed)(_Actor)
    for part in left.values():
        logger.warning(
            "Part %d ended its process %d times: item by item now",
            part.number,
            NUM_RETRIES + 1,
        )
        yield _one_by_one(ray, lambda: alone.remote(*arguments), work, part, folder)


def _connect(address: str) -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError:
        raise ClusterError(
            "--ray needs a package more: pip install 'jaxart[ray]'"
        ) from None
    if not ray.is_initialized():
        try:
            ray.init(
                None if address == "auto" else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ClusterError(
                f"ray={address}: no Ray cluster answers ({reason}). Start one with "
                "`ray start --head`, or say --ray=auto."
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the other parts go on
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _map(
    ray: Any, parts: Sequence[Part], arguments: tuple, needed: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """What actors say of parts, in any order; nothing of those that end their actor.

    Raises:
      Exception: what a part raised.
    """
    rows = [{"part": json.dumps([part.number, list(part.items)])} for part in parts]
    # Ray 2.60 to 2.63 have no other word for the number of retries.
    warnings.filterwarnings("ignore", ".*ray_remote_args_fn", DeprecationWarning)
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Actor,
        fn_constructor_args=arguments,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=len(rows), max_tasks_in_flight_per_actor=1
        ),
        ray_remote_args_fn=lambda: {"max_task_retries": NUM_RETRIES},
        **needed,
    )
    for row in dataset.iter_rows():
        said = json.loads(row["said"])
        if "error" in said:
            raise ray.cloudpickle.loads(bytes.fromhex(said["error"]))
        yield said


def _one_by_one(
    ray: Any, start: Callable[[], Any], work: Work, part: Part, folder: Folder
) -> local.Progress:
    """Does a part item by item, in an actor that is started again where one ends it."""
    actor = None

    def ask(method: str, *arguments: Any) -> Any:
        """What the actor returns; None where it dies twice, which a node may, too."""
        nonlocal actor
        for _ in range(2):
            actor = actor or start()
            try:
                return ray.get(getattr(actor, method).remote(part, *arguments))
            except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError):
                actor = None
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
        return None

    contents = ask("identify")
    if contents is None:
        raise ClusterError(f"part {part.number}: no process starts; see Ray's logs")
    with folder.writing(part, contents) as writing:
        for index, item in enumerate(part.items):
            reason = "ends the process that reads it (out of memory?)"
            done = ask("do_alone", index)
            writing.add(done or Results([work.skip(item, reason)]))
    return local.Progress(part, writing.name, len(part.items), True, True)


class _Actor:
    """What does parts in a process of the cluster."""

    def __init__(self, work: bytes, folder: Folder):
        self._pickle = importlib.import_module("ray.cloudpickle")
        self._work = self._pickle.loads(work)
        self._folder = folder

    @functools.cached_property
    def _opened(self) -> Opened:
        return self._work.open()

    def __call__(self, columns: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Does parts, each a row of a column 'part'; how it went is a column 'said'."""
        said = []
        for text in columns["part"]:
            try:
                said.append(json.dumps(self._do(Part(*json.loads(text)))))
            except Exception as error:  # it is the driver's to raise
                said.append(json.dumps({"error": self._pickle.dumps(error).hex()}))
        return {"said": said}

    def _do(self, part: Part) -> dict[str, Any]:
        size, is_done = self._work.batch_size, self._folder.has
        *_, end = local.run_parts(self._opened, [part], self._folder, size, is_done)
        return {"number": part.number, "name": end.name, "is_new": end.is_new}

    def identify(self, part: Part) -> list[str]:
        """What the content of each of a part's items is."""
        return self._opened.identify(part.items)

    def do_alone(self, part: Part, index: int) -> Results:
        """Does one item, in its place of a batch that is blank otherwise."""
        start = index - index % self._work.batch_size
        batch: list[Item | None] = [None] * len(
            part.items[start : start + self._work.batch_size]
        )
        batch[index - start] = part.items[index]
        return local.run_batch(self._opened, batch)
