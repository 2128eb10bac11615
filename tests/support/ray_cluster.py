"""A Ray cluster of two nodes on this machine, each a process group of its own, small in cores and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from processes import ServerProcess, free_port

BOUNDS: Final = ("--num-cpus", "1", "--memory", "1500000000", "--object-store-memory", "100000000")
PORTS: Final = ("--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0")
TOKEN: Final = "0123456789abcdef" * 4
SAFE: Final = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
"""Who may reach a cluster without a token may run what he likes; and Ray tells its makers of its use."""
STARTED: Final = "Ray runtime started"


@dataclass(frozen=True)
class Cluster:
    """Two nodes."""

    address: str
    other: ServerProcess
    """The second node, which nobody is connected to."""

    @property
    def env(self) -> dict[str, str]:
        """What a process needs that computes on it."""
        return {**SAFE, "RAY_ADDRESS": self.address}


@contextmanager
def two_nodes(folder: Path, env: dict[str, str]) -> Iterator[Cluster]:
    """Start both, and end both by their process groups.

    Args:
        folder: takes logs and Ray's files; a short path, since sockets lie below it.
        env: of the nodes, and so of their workers.
    """
    port = free_port()
    head = ["--head", "--port", str(port), "--include-dashboard=false", "--temp-dir", str(folder / "ray")]
    head += ["--ray-client-server-port", str(free_port())]
    with ExitStack() as stack:
        nodes = []
        for name, options in (("head", head), ("other", ["--address", f"127.0.0.1:{port}"])):
            command = ["ray", "start", "--block", "--node-ip-address", "127.0.0.1", *options, *BOUNDS, *PORTS]
            log = folder / f"{name}.log"
            node = ServerProcess(name, command, log=log, env=os.environ | env | SAFE)
            nodes.append(stack.enter_context(node))
            end = time.monotonic() + 180
            while STARTED not in log.read_text(encoding="utf-8"):
                assert node.running, node.log_tail()
                assert time.monotonic() < end, node.log_tail()
                time.sleep(0.1)
        yield Cluster(f"127.0.0.1:{port}", nodes[1])
