"""Simulated devices: thermometers that publish over MQTT at QoS 1, and count what was confirmed."""

import math
import time
from itertools import count

import paho.mqtt.client as mqtt
import trio
from paho.mqtt.enums import CallbackAPIVersion

DEVICES = 36
ROUND = 0.5
"""Seconds in which each device publishes once."""


class Devices:
    """A few dozen thermometers behind one MQTT connection.

    Attributes:
        published: numbers of the readings that were handed to the connection.
    """

    def __init__(self, port: int) -> None:
        self.published = 0
        self._pending: dict[int, mqtt.MQTTMessageInfo] = {}
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="demo-devices", protocol=mqtt.MQTTv5
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    @property
    def confirmed(self) -> int:
        """How many readings the broker has confirmed, so that they must never be lost."""
        for number in [n for n, info in self._pending.items() if info.is_published()]:
            del self._pending[number]
        return self.published - len(self._pending)

    async def publish_forever(self) -> None:
        """Publishes the readings of all devices, evenly over each round."""
        for number in count():
            device = number % DEVICES
            celsius = 20 + 5 * math.sin(time.monotonic() / 7 + device) + device / 10
            reading = b'{"celsius":%.2f,"number":%d}' % (celsius, number)
            topic = f"sensors/thermometer-{device:02d}/temperature"
            self._pending[number] = self._client.publish(topic, reading, qos=1)
            self.published += 1
            await trio.sleep(ROUND / DEVICES)

    def close(self) -> None:
        """Disconnects; blocks until the network thread has ended."""
        self._client.disconnect()
        self._client.loop_stop()
