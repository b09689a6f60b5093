"""The rig's mosquitto does what tests rely on, seen by paho: a client that is none of ours."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Literal

import pytest
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.rig.certs import Certs, Identity
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher

Start = Callable[..., Mosquitto]
TOPIC = "plant/1"


class Listener:
    """A paho client that subscribes to everything at QoS 1 when it connects."""

    def __init__(self, *, client_id: str, transport: Literal["tcp", "websockets"]) -> None:
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=False, transport=transport
        )
        self.heard: Queue[bytes] = Queue()
        self.connacks: Queue[tuple[bool, str]] = Queue()
        self.subscribed: Queue[None] = Queue()
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self.subscribed.put(None)
        self.client.on_message = self._on_message

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.connacks.put((flags.session_present, str(code)))
        client.subscribe("#", qos=1)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self.heard.put(bytes(message.payload))


@contextmanager
def listening(
    port: int,
    *,
    client_id: str = "listener",
    transport: Literal["tcp", "websockets"] = "tcp",
    tls: tuple[Path, Identity | None] | None = None,
) -> Iterator[Listener]:
    """A listener whose subscription holds. `tls`: the CA, and who the listener is."""
    listener = Listener(client_id=client_id, transport=transport)
    if tls is not None:
        context = ssl.create_default_context(cafile=str(tls[0]))
        if tls[1] is not None:
            context.load_cert_chain(tls[1].cert, tls[1].key)
        listener.client.tls_set_context(context)
    listener.client.connect("localhost", port)
    listener.client.loop_start()
    try:
        listener.subscribed.get(timeout=10)
        yield listener
    finally:
        listener.client.disconnect()
        listener.client.loop_stop()
        # paho closes its socket pair in __del__: in a cycle of references that may be too late.
        listener.client.on_connect = listener.client.on_subscribe = None
        listener.client.on_message = None


def publish(broker: Mosquitto, *payloads: bytes) -> None:
    with Publisher(broker.port) as publisher:
        acknowledged = publisher.publish([(TOPIC, payload) for payload in payloads])
    assert acknowledged == list(range(len(payloads)))


def shake_hands(port: int, *, ca: Path) -> None:
    """TLS without a certificate; in TLS 1.3 what the server thinks of that comes with a read."""
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection(("localhost", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.recv(1)


def test_a_message_goes_through(mosquitto: Mosquitto) -> None:
    with listening(mosquitto.port) as listener:
        publish(mosquitto, b"21.5")
        assert listener.heard.get(timeout=10) == b"21.5"


def test_a_session_is_kept_while_its_client_is_away(mosquitto: Mosquitto) -> None:
    with listening(mosquitto.port):
        pass
    payloads = [b"%d" % number for number in range(1500)]  # more than mosquitto's own limit
    publish(mosquitto, *payloads)
    with listening(mosquitto.port) as listener:
        assert listener.connacks.get() == (True, "Success")
        assert [listener.heard.get(timeout=10) for _ in payloads] == payloads


@pytest.mark.parametrize("ends", [Mosquitto.stop, Mosquitto.kill])
def test_persistence_keeps_sessions_and_queues_over_a_restart(
    start_mosquitto: Start, ends: Callable[[Mosquitto], None]
) -> None:
    broker = start_mosquitto(persistence=True)
    with listening(broker.port):
        pass
    publish(broker, b"kept")
    publish(broker, b"what a kill may take along")
    ends(broker)
    broker.start()
    with listening(broker.port) as listener:
        assert listener.connacks.get() == (True, "Success")
        assert listener.heard.get(timeout=10) == b"kept"


def test_a_restart_that_forgets_knows_no_session(start_mosquitto: Start) -> None:
    broker = start_mosquitto(persistence=True)
    with listening(broker.port):
        pass
    broker.restart(forgets=True)
    with listening(broker.port) as listener:
        assert listener.connacks.get() == (False, "Success")


def test_without_persistence_a_restart_forgets(mosquitto: Mosquitto) -> None:
    with listening(mosquitto.port):
        pass
    mosquitto.restart()
    with listening(mosquitto.port) as listener:
        assert listener.connacks.get() == (False, "Success")


def test_a_frozen_broker_acknowledges_once_it_is_thawed(mosquitto: Mosquitto) -> None:
    with Publisher(mosquitto.port) as publisher:
        mosquitto.freeze()
        assert publisher.publish([(TOPIC, b"x")], timeout=0.2) == []
    mosquitto.thaw()
    publish(mosquitto, b"y")


def test_tls_shows_a_certificate_of_our_authority(start_mosquitto: Start, certs: Certs) -> None:
    broker = start_mosquitto(tls=certs)
    with listening(broker.tls_port, tls=(certs.ca, None)) as listener:
        publish(broker, b"secret")
        assert listener.heard.get(timeout=10) == b"secret"


def test_tls_is_no_good_to_who_trusts_another_authority(
    start_mosquitto: Start, certs: Certs, tmp_path: Path
) -> None:
    broker = start_mosquitto(tls=certs)
    stranger = Certs(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(broker.tls_port, ca=stranger.ca)


def test_client_certificates_are_asked_for(start_mosquitto: Start, certs: Certs) -> None:
    broker = start_mosquitto(tls=certs, client_certs=True)
    with listening(broker.tls_port, tls=(certs.ca, certs.client)):
        pass
    with pytest.raises(ssl.SSLError, match="certificate required"):
        shake_hands(broker.tls_port, ca=certs.ca)


def test_websockets_are_served(start_mosquitto: Start) -> None:
    broker = start_mosquitto(websockets=True)
    with listening(broker.websocket_port, transport="websockets") as listener:
        publish(broker, b"by websocket")
        assert listener.heard.get(timeout=10) == b"by websocket"


def test_users_need_their_password(start_mosquitto: Start) -> None:
    broker = start_mosquitto(users={"plant": "secret"})
    with Publisher(broker.port, login=("plant", "secret")) as publisher:
        assert publisher.publish([(TOPIC, b"x")]) == [0]
    with pytest.raises(ConnectionRefusedError):
        Publisher(broker.port, login=("plant", "wrong"))
    with pytest.raises(ConnectionRefusedError):
        Publisher(broker.port)


def test_the_acl_says_who_may_read_what(start_mosquitto: Start) -> None:
    broker = start_mosquitto(acl=["topic write #", "topic read open/#"])
    with listening(broker.port) as listener:
        with Publisher(broker.port) as publisher:
            publisher.publish([("closed/1", b"hidden"), ("open/1", b"shown")])
        assert listener.heard.get(timeout=10) == b"shown"


def test_further_lines_reach_the_configuration(start_mosquitto: Start) -> None:
    broker = start_mosquitto(lines=["max_queued_messages 3"])
    with listening(broker.port):
        pass
    publish(broker, *[b"%d" % number for number in range(10)])
    with listening(broker.port) as listener:
        publish(broker, b"last")
        heard = [listener.heard.get(timeout=10)]
        while heard[-1] != b"last":
            heard.append(listener.heard.get(timeout=10))
    assert len(heard) < 10
