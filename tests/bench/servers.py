"""WebSocket servers that do the same job: routerd and its peers, each from `with` to its end.

A client at /sub is a member of the group that hears what one at /pub says. What a client says at
/in is taken and goes nowhere.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers, sockets
from tests.bench.cases import ROUTERD
from tests.rig.daemon import Routerd
from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.waiting import accepts, wait_until

WEBSOCKETS, WS, NCHAN = "websockets", "ws", "nchan"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """One that runs.

    Attributes:
        pid: its process, and its process group.
        heard: asks how many messages it has taken at /in.
    """

    address: tuple[str, int]
    pid: int
    heard: Callable[[], int]


@contextmanager
def _run_routerd() -> Iterator[Server]:
    with Routerd(_TABLE) as daemon:
        assert daemon.child is not None

        def heard() -> int:
            name = "routerd_messages_settled_total"
            return int(daemon.metric(name, route="shouts", outcome="delivered"))

        yield Server(daemon.ws_address, daemon.child.pid, heard)


_TABLE = """
[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000 }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "broadcast"
from = "ws:/pub"
to = "group:/sub"

[[route]]
name = "shouts"
from = "ws:/in"
to = "group:/nobody"
"""


def _run_websockets() -> AbstractContextManager[Server]:
    python = peers.python(peers.WEBSOCKETS)
    # By its path: as a module of this package it would need the package's own imports.
    return _run_program([python, "-P", _HERE / "peer_websockets.py"])


def _run_ws() -> AbstractContextManager[Server]:
    node_path = peers.node_path(peers.WS)
    return _run_program(["node", _HERE / "peer_ws.js"], env={"NODE_PATH": str(node_path)})


@contextmanager
def _run_program(
    command: Sequence[str | Path], *, env: dict[str, str] | None = None
) -> Iterator[Server]:
    """One that says its port in a line, and how many messages it has heard to whoever asks."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        child = Child(command, name="peer", folder=Path(folder), env=env)
        try:
            wait_until(lambda: "\n" in child.stdout or not child.is_running, "the peer listens")
            if not child.is_running:
                raise RuntimeError(f"the peer ended: {child.stderr[-500:].strip()}")
            address = ("127.0.0.1", int(child.stdout))
            yield Server(address, child.pid, lambda: sockets.read_count(address))
        finally:
            child.kill()


@contextmanager
def _run_nchan() -> Iterator[Server]:
    """Groups only: what it takes at /in would be a broadcast to nobody, and it doesn't count it.

    Its buffers hold nothing, which was its fastest setting on another machine.
    """
    peers.nginx_with_nchan()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nchan-") as name:
        folder = Path(name)
        file = folder / "nginx.conf"
        file.write_text(_NGINX.format(module=peers.NCHAN, folder=folder, port=port))
        command: list[str | Path] = [
            peers.NGINX,
            "-c",
            file,
            "-p",
            folder,
            "-e",
            folder / "error.log",
        ]
        child = Child(command, name="nginx", folder=folder)
        try:
            wait_until(lambda: accepts(port) or not child.is_running, "nginx listens")
            if not child.is_running:
                raise RuntimeError(f"nginx ended: {child.stderr[-500:].strip()}")
            yield Server(("127.0.0.1", port), child.pid, lambda: 0)
        finally:
            child.kill()


_NGINX = """
load_module {module};
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 12000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /sub {{
            nchan_subscriber websocket;
            nchan_channel_id bench;
            nchan_message_buffer_length 0;
            nchan_subscriber_first_message newest;
        }}
        location = /pub {{
            nchan_publisher websocket;
            nchan_channel_id bench;
            nchan_message_buffer_length 0;
        }}
    }}
}}
"""

SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    ROUTERD: _run_routerd,
    WEBSOCKETS: _run_websockets,
    WS: _run_ws,
    NCHAN: _run_nchan,
}
