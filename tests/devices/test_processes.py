"""Processes that JAX joins: what they tell each other, and what they refuse."""

import json

import pytest

from jaxart.devices import launchers, processes
from tests import joined

SCRIPT = """
import json, sys
from pathlib import Path
from jaxart.devices import launchers, processes

def refused(check, *arguments):
    try:
        check(*arguments)
    except processes.ProcessError as error:
        return str(error)

folder, coordinator, count, index = sys.argv[1:]
processes.start(coordinator, int(count), int(index))
own = Path(folder) / index
own.mkdir()
(Path(folder) / "all").mkdir(exist_ok=True)
print(json.dumps({
    "is_first": processes.is_first(),
    "gathered": processes.gather({"from": index, "text": "e\\u0301" * 50 * int(index)}),
    "squares": processes.compute_shared(lambda own: [x * x for x in own], range(7)),
    "nothing": processes.compute_shared(list, []),
    "same": refused(processes.check_same, {"a": 1, "b": [2]}),
    "different": refused(processes.check_same, {"a": 1, "b": [index]}),
    "shared": refused(processes.check_shared, Path(folder) / "all", "workdir"),
    "own": refused(processes.check_shared, own, "workdir"),
}))
"""


pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each of three processes says."""
    folder = tmp_path_factory.mktemp("joined")
    started = joined.launch(3, "-c", SCRIPT, str(folder))
    outputs = [process.communicate() for process in started]
    assert not any(process.returncode for process in started), outputs
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]  # Gloo talks, too


def test_the_first_is_the_first(said):
    assert [one["is_first"] for one in said] == [True, False, False]


def test_all_are_told_what_each_has_however_long(said):
    for one in said:
        assert [answer["from"] for answer in one["gathered"]] == ["0", "1", "2"]
        assert [len(answer["text"]) for answer in one["gathered"]] == [0, 100, 200]


def test_what_is_computed_in_shares_is_whole_and_in_order(said):
    for one in said:
        assert one["squares"] == [0, 1, 4, 9, 16, 25, 36]
        assert one["nothing"] == []


def test_processes_that_run_something_else_are_refused(said):
    for one in said:
        assert one["same"] is None
        assert one["different"].startswith("processes 0 and 1 differ in b: ['0'] and")


def test_a_folder_that_not_all_see_is_refused(said):
    for process, one in enumerate(said):
        assert one["shared"] is None
        assert f"/{process}: process 1 does not see" in one["own"]


def test_alone_all_is_as_if_there_were_no_others(tmp_path):
    processes.start(None, None, None)
    assert processes.count() == 1 and processes.is_first()
    assert processes.gather({"a": 1}) == [{"a": 1}]
    assert processes.compute_shared(lambda own: [x + 1 for x in own], [1, 2]) == [2, 3]
    processes.check_same({"a": 1})
    processes.check_shared(tmp_path, "workdir")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("host:1", 2, None), "--process_id is missing.*go together"),
        ((None, 2, 0), "--coordinator is missing"),
        (("host:1", 2, 2), "process_id=2: from 0 to 1"),
    ],
)
def test_half_an_answer_is_refused(arguments, message):
    with pytest.raises(processes.ProcessError, match=message):
        processes.start(*arguments)


@pytest.mark.parametrize(
    ("variables", "is_launched"),
    [
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"}, True),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, False),  # a batch script
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1"}, True),
        ({"TPU_WORKER_HOSTNAMES": "t0"}, False),
        ({}, False),
    ],
)
def test_a_launchers_processes_are_known(monkeypatch, variables, is_launched):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launchers.launched() == is_launched


def test_a_process_alone_stops_as_usual():
    with pytest.raises(SystemExit, match="jaxart: no"):
        processes.stop("jaxart: no")


SRUN = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"}
MPIRUN = {"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "8"}


@pytest.mark.parametrize(
    ("environment", "is_launched"),
    [
        (SRUN, True),
        (MPIRUN, True),
        # mpirun in a batch script: srun started one helper on each of two nodes.
        (SRUN | {"SLURM_STEP_NUM_TASKS": "2"} | MPIRUN, True),
        ({}, False),
        # A batch script, or a shell of salloc's: python is started by no srun.
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, False),
        (SRUN | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, False),
        (SRUN | {"SLURM_PROCID": "4"}, False),
        (SRUN | {"SLURM_PROCID": "x"}, False),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}, False),
        ({"JOB_COMPLETION_INDEX": "3"}, False),
    ],
)
def test_a_launcher_is_known_by_its_variables(environment, is_launched):
    assert launchers.has_launcher(environment) == is_launched


@pytest.mark.parametrize(
    ("error", "is_of_others"),
    [
        (RuntimeError("Gloo AllGather failed: Connection closed by peer"), True),
        (ValueError("UNKNOWN: Gloo all-reduce failed: Read error"), True),
        (RuntimeError("DEADLINE_EXCEEDED: Barrier timed out. Id: x"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), False),
        (KeyError("barrier"), False),
        (TimeoutError("Timed out while waiting for async_write barrier."), True),
        (BlockingIOError("Resource temporarily unavailable"), False),
        (ConnectionRefusedError("Connection refused"), False),
        (ValueError("coordinates out of range"), False),
        (ValueError("--config.x: image is unavailable"), False),
        (ValueError("learning_rate=-1: above 0"), False),
        (processes.ProcessError("processes 0 and 1 differ in barrier"), False),
    ],
)
def test_what_another_process_is_to_blame_for_is_known(error, is_of_others):
    assert processes.is_of_others(error) == is_of_others
    wrapped = KeyError()
    wrapped.__cause__ = error
    assert processes.is_of_others(wrapped) == is_of_others
