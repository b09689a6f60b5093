"""The table scheme -> connector: their load-time halves."""

from collections.abc import Mapping

from routerd.checks import Checks
from routerd.connectors.kafka.checks import KafkaChecks
from routerd.connectors.log.checks import LogChecks
from routerd.connectors.mqtt.checks import MqttChecks
from routerd.connectors.websocket.checks import WebSocketChecks

_WEBSOCKET = WebSocketChecks()

CHECKS: Mapping[str, Checks] = {
    "mqtt": MqttChecks(),
    "ws": _WEBSOCKET,
    "group": _WEBSOCKET,
    "reply": _WEBSOCKET,
    "kafka": KafkaChecks(),
    "log": LogChecks(),
}
"""What may stand in front of the `:` of an address. `group` and `reply` belong to `[ws]`."""
