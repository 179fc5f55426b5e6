"""A Ray cluster of one-CPU nodes on this machine, to try things on.

  python -m tests.ray_cluster 3

prints its address; `remove` on standard input takes a node away without a warning, and
the end of the input stops the cluster.
"""

import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster


def start(num_nodes, **settings):
    """A head without CPUs of its own, and nodes of one CPU each; (cluster, nodes)."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["JAX_PLATFORMS"] = "cpu"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | settings)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(num_nodes)]
    cluster.wait_for_nodes()
    return cluster, nodes


if __name__ == "__main__":
    cluster, nodes = start(int(sys.argv[1]))
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "remove":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            print("removed", flush=True)
    cluster.shutdown()
