"""The connectors as the daemon opens them: their run-time halves.

Not in `checks.py`, so that `routerd check` loads no client library but what it checks with.
"""

from collections.abc import Mapping

from routerd.connectors.kafka.connector import KafkaConnector
from routerd.connectors.log.connector import LogConnector
from routerd.connectors.mqtt.connector import MqttConnector
from routerd.connectors.websocket.connector import WebSocketConnector
from routerd.interfaces import Connector

CONNECTORS: Mapping[str, Connector] = {
    "mqtt": MqttConnector(),
    "websocket": WebSocketConnector(),
    "kafka": KafkaConnector(),
    "log": LogConnector(),
}
"""By what `checks.Checks.connector` calls them."""
