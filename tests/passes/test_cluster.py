"""Passes on a Ray cluster of three nodes on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from jaxart.passes import running
from tests import ROOT
from tests.passes.works import Squares, begin

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("default"),  # Ray's own, which say nothing of ours
]


@pytest.fixture
def cluster(monkeypatch):
    from tests import ray_cluster  # noqa: PLC0415

    cluster, nodes = ray_cluster.start(3)
    cluster.spare = nodes
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def outcome(work, path, num_items, cluster=None):
    """Records and rows of a run; parts that were done before are not done again."""
    passed, parts = begin(path, num_items)
    where = cluster and running.Cluster(cluster.address)
    names = running.run(work, parts, passed, title="", ray=where).names
    rows = [np.load(passed.rows(name)) for name in names]
    return list(passed.records(names)), np.concatenate(rows).tolist()


def test_a_cluster_leaves_what_one_process_does_though_a_node_goes(cluster, tmp_path):
    whole = outcome(Squares(), tmp_path / "one", 30)
    (tmp_path / "log").mkdir()
    work = Squares(log=tmp_path / "log", seconds=0.5)

    def remove():
        while len(list(work.log.iterdir())) < 4:
            time.sleep(0.01)
        cluster.remove_node(cluster.spare[0], allow_graceful=False)

    removing = threading.Thread(target=remove)
    removing.start()
    assert outcome(work, tmp_path / "many", 30, cluster) == whole
    removing.join()
    # Again, here: nothing is left to do.
    before = len(list(work.log.iterdir()))
    assert outcome(work, tmp_path / "many", 30) == whole
    assert len(list(work.log.iterdir())) == before


@pytest.mark.parametrize("deadly", [7, 13])  # 13 is a part of its own
def test_an_item_that_kills_its_actor_is_skipped_alone(cluster, tmp_path, deadly):
    records, rows = outcome(Squares(), tmp_path / "one", 13)
    reason = "ends the process that reads it (out of memory?)"
    records[deadly - 1] = {"item": deadly, "reason": reason}
    del rows[deadly - 1]
    passed, parts = begin(tmp_path / "many", 13)
    where = running.Cluster(cluster.address)
    work = Squares(deadly=deadly)
    names = running.run(work, parts, passed, title="", ray=where).names
    assert list(passed.records(names)) == records
    kept = [path for name in names if (path := passed.rows(name)).exists()]
    assert np.concatenate([np.load(path) for path in kept]).tolist() == rows


def test_an_error_is_the_drivers_and_ends_it(cluster, tmp_path):
    with pytest.raises(ValueError, match="^5 is wrong$"):
        outcome(Squares(wrong=5), tmp_path / "many", 12, cluster)


def test_a_killed_driver_goes_on(cluster, tmp_path):
    whole = outcome(Squares(), tmp_path / "one", 30)
    (tmp_path / "log").mkdir()
    code = (
        "import pathlib; from tests.passes.test_cluster import *\n"
        f"root = pathlib.Path({os.fspath(tmp_path)!r})\n"
        "class There: address = " + repr(cluster.address) + "\n"
        "outcome(Squares(log=root / 'log', seconds=0.3), root / 'many', 30, There)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    with contextlib.closing(driver.stdout or open(os.devnull)):
        while not list((tmp_path / "many").glob("0*.json")):
            assert driver.poll() is None
            time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    num_done = len(list((tmp_path / "many").glob("0*.json")))
    assert num_done < 8
    assert outcome(Squares(), tmp_path / "many", 30, cluster) == whole
