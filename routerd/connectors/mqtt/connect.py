"""A socket to the broker: DNS, TCP and TLS, with nothing of MQTT sent yet.

An attempt that is given up leaves nothing behind that could speak. A CONNECT that leaves later
would take our own session over, so CONNECT is nobody's business here.
"""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, zip_longest

import trio

from routerd.errors import Rejected, Unavailable

_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})  # of OpenSSL's X509_V_ERR_*
CONNECT_TIMEOUT = 10.0
"""Seconds for DNS, TCP, TLS and the WebSocket handshake together."""
NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address is tried beside the ones before (RFC 8305)."""

_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8  # of Linux

SocketAddress = tuple[str | int | bytes, ...]
Address = tuple[socket.AddressFamily, SocketAddress]


async def open_socket(
    host: str,
    port: int,
    *,
    tls: Callable[[], ssl.SSLContext] | None,
    limiter: trio.CapacityLimiter,
) -> socket.socket:
    """A connected socket that does not block, encrypted if `tls` is given.

    Args:
        host: a name or an address; the broker's certificate must be for it.
        port: the broker's.
        tls: makes the context; called in a thread.
        limiter: of the threads that one connection of the table may have at a time.

    Raises:
        Unavailable: no address answers in time.
        Rejected: a certificate is not trusted by the other side.
    """
    with connecting(host, port):
        addresses = await trio.to_thread.run_sync(
            _look_up, host, port, limiter=limiter, abandon_on_cancel=True
        )
        sock = await _first_to_connect(addresses)
        if tls is not None:
            sock = await _encrypt(sock, host, tls, limiter)
        return sock


@contextmanager
def connecting(host: str, port: int) -> Iterator[None]:
    """Sets the deadline of an attempt to connect, and says what went wrong in its terms."""
    where = f"{host}:{port}"
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            yield
    except trio.TooSlowError:
        raise Unavailable(f"{where} does not answer within {CONNECT_TIMEOUT:g} s") from None
    except ssl.SSLCertVerificationError as exc:
        advice = (
            ""
            if exc.verify_code not in _UNKNOWN_AUTHORITY
            else ("; name the certificate of its authority as `ca` in the table of this connection")
        )
        raise Rejected(
            f"the certificate of {where} is not trusted: {exc.verify_message}{advice}"
        ) from exc
    except ssl.SSLError as exc:
        raise tls_failure(where, exc) from exc
    except socket.gaierror as exc:
        raise Unavailable(f"can't resolve {host}: {exc.strerror}") from exc
    except UnicodeError as exc:  # from the codec for host names
        raise Rejected(f"{host!r} is no name that a host can have: {exc}") from exc
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else exc  # trio's own words say the address again
        raise Unavailable(f"can't connect to {where}: {why}") from exc


def has_hung_up(sock: socket.socket) -> bool:
    """Whether the other side has closed a connection, or it broke; unread input doesn't hide it.

    Asks the kernel (tcp(7), TCP_INFO): reading would be the other way to know.
    """
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state in {_TCP_CLOSE, _TCP_CLOSE_WAIT}


def tls_failure(where: str, exc: ssl.SSLError) -> Unavailable | Rejected:
    """What an error of TLS means; with TLS 1.3 a verdict on us comes after the handshake."""
    words = exc.reason or str(exc.strerror or exc).partition(" (_ssl.c")[0]
    reason = words.replace("_", " ").lower()
    if "alert" in reason:  # the broker's verdict on us: our certificate, our versions
        return Rejected(f"{where} refuses our TLS connection: {reason}")
    return Unavailable(f"the TLS connection to {where} failed: {reason}")


def broken(exc: OSError) -> Unavailable | Rejected:
    """What an error of a connection means that stood already."""
    if isinstance(exc, ssl.SSLError):
        return tls_failure("the broker", exc)
    return Unavailable(f"the connection to the broker broke: {exc.strerror or exc}")


def _look_up(host: str, port: int) -> list[Address]:
    """The addresses of a host, families in turn, starting with the one that the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
    preferred = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = chain.from_iterable(zip_longest(preferred, others))
    return [address for address in pairs if address is not None]


async def _first_to_connect(addresses: list[Address]) -> socket.socket:
    """Tries addresses one after the other, without waiting long for one that is dead."""
    connected: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: Address, failed: trio.Event) -> None:
        try:
            connected.append(await _connect(*address))
        except OSError as exc:
            failures.append(exc)
            failed.set()
        else:
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(NEXT_ADDRESS_AFTER):
                    await failed.wait()
    except BaseException:
        for sock in connected:
            sock.close()
        raise
    for sock in connected[1:]:
        sock.close()
    if not connected:
        raise failures[0]
    return connected[0]


async def _connect(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
    with trio.socket.socket(family, socket.SOCK_STREAM) as connecting_socket:
        await connecting_socket.connect(address)
        sock = socket.socket(family, socket.SOCK_STREAM, fileno=connecting_socket.detach())
    sock.setblocking(False)
    # What is written is collected already, so Nagle's algorithm could only add a delay.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A reader that is paused notices a dead peer in no other way.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


async def _encrypt(
    sock: socket.socket,
    host: str,
    tls: Callable[[], ssl.SSLContext],
    limiter: trio.CapacityLimiter,
) -> ssl.SSLSocket:
    """Shakes hands. Each step is some ms of arithmetic without waiting, done in a thread."""
    try:
        context = await trio.to_thread.run_sync(tls, limiter=limiter)
        sock = wrapped = context.wrap_socket(
            sock, server_hostname=host, do_handshake_on_connect=False
        )
        while True:
            try:
                await trio.to_thread.run_sync(wrapped.do_handshake, limiter=limiter)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(wrapped)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(wrapped)
            else:
                return wrapped
    except BaseException:
        sock.close()
        raise
