"""librdkafka's mock Kafka cluster as a program, told what to do line by line.

A line on stdin is a JSON list, a command's name and its arguments; each gets one line on
stdout, `ok` or what went wrong. The first line of all is the cluster's address. The program ends
with its stdin. It is run by its path, so that it imports nothing else of routerd.

The cluster speaks the real protocol and keeps the newest 5 MiB of each partition in memory. The
functions are those of librdkafka's rdkafka_mock.h, called past confluent-kafka, which doesn't
offer them.
"""

import ctypes
import ctypes.util
import json
import sys
from pathlib import Path

import confluent_kafka

_PRODUCER = 0  # RD_KAFKA_PRODUCER
ALL_BROKERS = -1


class MockCluster:
    """A mock cluster in this process; each method is a command."""

    def __init__(self, brokers: int) -> None:
        self._library = _open_library()
        error = ctypes.create_string_buffer(512)
        config = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        # It would say that it knows no broker, which is as it should be.
        self._library.rd_kafka_conf_set(config, b"log_level", b"0", error, 512)
        client = self._library.rd_kafka_new(_PRODUCER, config, error, 512)
        if not client:
            raise RuntimeError(f"no librdkafka client: {error.value.decode()}")
        cluster = self._library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), brokers)
        self._cluster = ctypes.c_void_p(cluster)
        bootstraps = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.bootstrap = ctypes.string_at(bootstraps).decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Makes a topic; without it, a topic comes into being with 4 partitions when asked for."""
        self._call("topic_create", name.encode(), partitions, 1)

    def delete_topic(self, name: str) -> None:
        """Forgets a topic and what is in it."""
        self._call("topic_delete", name.encode())

    def set_topic_error(self, name: str, code: int) -> None:
        """Metadata requests answer `code` for this topic; 0 heals it."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, name.encode(), code)

    def push_request_errors(self, api_key: int, codes: list[int]) -> None:
        """The next requests of that kind are answered with these codes, one each."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(api_key), ctypes.c_size_t(len(codes)), array
        )

    def clear_request_errors(self, api_key: int) -> None:
        """Forgets the codes not yet used."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(api_key))

    def down(self, broker: int) -> None:
        """The broker closes its connections and refuses new ones."""
        self._call("broker_set_down", broker)

    def up(self, broker: int) -> None:
        """Takes `down` back."""
        self._call("broker_set_up", broker)

    def set_delay(self, broker: int, milliseconds: int) -> None:
        """Every answer of the broker comes that much later."""
        self._call("broker_set_rtt", broker, milliseconds)

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Moves a partition to another broker."""
        self._call("partition_set_leader", topic.encode(), partition, broker)

    def _call(self, name: str, *arguments: bytes | int) -> None:
        function = getattr(self._library, f"rd_kafka_mock_{name}")
        if code := function(self._cluster, *arguments):
            raise RuntimeError(f"{name}{arguments}: {confluent_kafka.KafkaError(code).str()}")


def _open_library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka has loaded: of its wheel, or else the system's."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    bundled = next(map(str, folder.glob("librdkafka-*.so*")), None)
    library = ctypes.CDLL(bundled or ctypes.util.find_library("rdkafka"))
    for name in ("conf_new", "new", "mock_cluster_new", "mock_cluster_bootstraps"):
        getattr(library, f"rd_kafka_{name}").restype = ctypes.c_void_p
    return library


def _carry_out(cluster: MockCluster, line: str) -> str:
    name, *arguments = json.loads(line)
    try:
        getattr(cluster, name)(*arguments)
    except (AttributeError, RuntimeError, TypeError, ctypes.ArgumentError) as exc:
        return str(exc)
    return "ok"


def _main() -> None:
    cluster = MockCluster(int(sys.argv[1]))
    _say(cluster.bootstrap)
    for line in sys.stdin:
        _say(_carry_out(cluster, line))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
