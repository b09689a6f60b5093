"""The server.properties of the test Kafka, with and without access control."""

from typing import NamedTuple

CLUSTER_ID = "cm91dGVyZC10ZXN0cy0wMQ"  # any 16 bytes in base64
ADMIN_CLIENT = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "admin",
    "sasl.password": "admin",
}
"""How a client comes in by the listener for super users."""

_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="admin" password="admin" user_admin="admin";'
)
_COMMON = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "2000000",  # its default is 128 MB of the heap
    "controlled.shutdown.enable": "false",  # there is no other node to hand over to
    # After a restart the controller, which is the same process, waits for the old one to be dead.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
}


class Ports(NamedTuple):
    """Where it listens. Without access control, `admin` is `client`."""

    client: int
    admin: int
    controller: int


def plain(ports: Ports) -> dict[str, str]:
    """Everybody may do everything."""
    return _COMMON | {
        "listeners": f"CLIENT://127.0.0.1:{ports.client},CONTROLLER://127.0.0.1:{ports.controller}",
        "advertised.listeners": f"CLIENT://127.0.0.1:{ports.client}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"1@127.0.0.1:{ports.controller}",
        "inter.broker.listener.name": "CLIENT",
    }


def secured(ports: Ports) -> dict[str, str]:
    """Clients are anonymous and may do what ACLs allow; the broker itself is a super user."""
    client = f"CLIENT://127.0.0.1:{ports.client}"
    admin = f"ADMIN://127.0.0.1:{ports.admin}"
    security = "CLIENT:PLAINTEXT,ADMIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    return plain(ports) | {
        "listeners": f"{client},{admin},CONTROLLER://127.0.0.1:{ports.controller}",
        "advertised.listeners": f"{client},{admin}",
        "listener.security.protocol.map": security,
        "inter.broker.listener.name": "ADMIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.admin.plain.sasl.jaas.config": _LOGIN,
        "listener.name.controller.plain.sasl.jaas.config": _LOGIN,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin",
    }
