"""A Ray cluster of two nodes with a processor each, on this machine."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator

import pytest

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="engine ray needs the package ray"
)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[None]:
    """A cluster that RAY_ADDRESS names, with files of its own and no dashboard."""
    folder = tempfile.mkdtemp(prefix="ray-")  # a socket's path has 107 letters at most
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # no data leaves this machine
        patch.setenv("RAY_TMPDIR", folder)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(**node)
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
