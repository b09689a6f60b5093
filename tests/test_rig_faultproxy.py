"""The rig's proxy leads through what it should, and breaks what it is told to break."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from select import select

import pytest

from tests.rig.faultproxy import FaultProxy
from tests.rig.waiting import wait_until


@dataclass
class Line:
    """A client and a server that are connected by a proxy."""

    proxy: FaultProxy
    listener: socket.socket
    client: socket.socket
    server: socket.socket


def has_come(to: socket.socket) -> bytes:
    """What there is to be read now, without taking it."""
    return to.recv(1024, socket.MSG_PEEK) if select([to], [], [], 0)[0] else b""


@pytest.fixture
def line() -> Iterator[Line]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        FaultProxy(listener.getsockname()[1]) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
        listener.accept()[0] as server,
    ):
        server.settimeout(10)
        yield Line(proxy, listener, client, server)


def test_bytes_go_both_ways(line: Line) -> None:
    line.client.sendall(b"there")
    assert line.server.recv(100) == b"there"
    line.server.sendall(b"back")
    assert line.client.recv(100) == b"back"
    assert line.proxy.connections == 1


def test_the_end_of_one_way_leaves_the_other_open(line: Line) -> None:
    line.client.sendall(b"last words")
    line.client.shutdown(socket.SHUT_WR)
    assert line.server.recv(100) == b"last words"
    assert line.server.recv(100) == b""
    line.server.sendall(b"answer")
    line.server.close()
    assert line.client.recv(100) == b"answer"
    assert line.client.recv(100) == b""
    wait_until(lambda: line.proxy.connections == 0, "the connection is gone")


@pytest.mark.slow
def test_more_than_fits_waits_until_it_is_read(line: Line) -> None:
    sent = 0
    while select([], [line.client], [], 0.1)[1]:
        sent += line.client.send(b"x" * 1_000_000)
    line.server.sendall(b"the other way is free")
    assert line.client.recv(100) == b"the other way is free"
    received = 0
    while received < sent:
        received += len(line.server.recv(1_000_000))
    assert received == sent


def test_reset_breaks_both_sides(line: Line) -> None:
    line.proxy.reset()
    with pytest.raises(ConnectionResetError):
        line.client.recv(1)
    with pytest.raises(ConnectionResetError):
        line.server.recv(1)
    assert line.proxy.connections == 0


def test_after_a_reset_a_new_connection_is_led_through(line: Line) -> None:
    line.proxy.reset()
    with (
        socket.create_connection(("127.0.0.1", line.proxy.port), timeout=10) as client,
        line.listener.accept()[0] as server,
    ):
        client.sendall(b"again")
        assert server.recv(100) == b"again"


def test_a_side_that_breaks_breaks_the_other(line: Line) -> None:
    # A server that breaks before the proxy knows of its connection was never reached.
    wait_until(lambda: line.proxy.connections == 1, "the proxy leads the connection through")
    line.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.server.close()
    with pytest.raises(ConnectionResetError):
        line.client.recv(1)


def test_silence_holds_one_direction_and_loses_nothing(line: Line) -> None:
    line.proxy.silence("to_server")
    line.client.sendall(b"held")
    line.server.sendall(b"heard")
    assert line.client.recv(100) == b"heard"
    assert has_come(line.server) == b""
    line.proxy.flow()
    assert line.server.recv(100) == b"held"


def test_silence_to_the_client_leaves_the_server_hearing(line: Line) -> None:
    line.proxy.silence("to_client")
    line.server.sendall(b"held")
    line.client.sendall(b"heard")
    assert line.server.recv(100) == b"heard"
    assert has_come(line.client) == b""
    line.proxy.flow()
    assert line.client.recv(100) == b"held"


def test_a_server_that_is_away_is_an_end_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with (
        FaultProxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        assert client.recv(1) == b""
