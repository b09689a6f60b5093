"""A real Apache Kafka: one node, broker and controller in one Java process (KRaft).

The same jars as everybody's Kafka, in a temporary folder and on free ports. `tests/run` fetches
the jars; `ROUTERD_TEST_KAFKA` may name another folder that has them.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.rig import kafka_settings
from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.records import ClientConfig, Records

JARS = Path(__file__).parent.parent / ".cache" / "kafka"
_JAVA_OPTIONS = ("-Xmx384m", "-Xms128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


class Kafka:
    """A Kafka broker on 127.0.0.1, running from `start` (or `with`) to `stop`.

    `records` reads topics back. Topics are made with `create_topic`, never by themselves.

    Args:
        acls: clients of `bootstrap` may use only the topics that `permit` names. The rig itself
            comes in by another listener, as a super user.
        settings: further lines of server.properties, or others for the ones of
            `kafka_settings.py`, e.g. `{"message.max.bytes": "100000"}`.
    """

    def __init__(self, *, acls: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="kafka-")
        self._folder = Path(self._temporary.name)
        self.child: Child | None = None
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        admin_port = free_port() if acls else self.port
        self._client: ClientConfig = {
            "bootstrap.servers": f"127.0.0.1:{admin_port}",
            "reconnect.backoff.max.ms": 200,
            **(kafka_settings.ADMIN_CLIENT if acls else {}),
        }
        self.records = Records(self._client)
        self._admin = AdminClient({"log_level": 2, **self._client})
        ports = kafka_settings.Ports(client=self.port, admin=admin_port, controller=free_port())
        chosen = kafka_settings.secured(ports) if acls else kafka_settings.plain(ports)
        chosen |= {"log.dirs": str(self._folder / "data"), **(settings or {})}
        lines = [f"{name}={value}" for name, value in chosen.items()]
        (self._folder / "server.properties").write_text("\n".join(lines) + "\n")
        self._is_formatted = False

    @property
    def log(self) -> str:
        """What it has logged (warnings and errors), over restarts."""
        return self._running().stderr

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kills it and removes its files."""
        if self.child is not None:
            self.child.kill()
        self._temporary.cleanup()

    def start(self, *, timeout: float = 60.0) -> None:
        """Returns when it answers requests."""
        if not self._is_formatted:
            self._format()
        self.child = Child(
            [*java_command(), "kafka.Kafka", self._folder / "server.properties"],
            name="kafka",
            folder=self._folder,
        )
        self.child.wait_ready(self._answers, timeout=timeout)

    def stop(self) -> None:
        """SIGTERM, an orderly shutdown; what it has, it keeps for the next `start`."""
        self._running().terminate(timeout=30)

    def kill(self) -> None:
        """SIGKILL."""
        self._running().kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and silent."""
        self._running().freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().thaw()

    def restart(self) -> None:
        """Stops it if it runs and starts it on the same ports with the same data."""
        self.stop()
        self.start()

    def create_topic(
        self, name: str, partitions: int = 1, *, config: Mapping[str, str] | None = None
    ) -> None:
        """Returns when the topic can be written to. `config`: e.g. `{"max.message.bytes": "100"}`.

        Raises:
            KafkaException: e.g. it exists.
        """
        new = NewTopic(name, partitions, 1, config=dict(config or {}))
        self._admin.create_topics([new])[name].result(30)

    def delete_topic(self, name: str) -> None:
        """Returns when it is gone."""
        self._admin.delete_topics([name], operation_timeout=30)[name].result(30)

    def set_topic_config(self, topic: str, name: str, value: str) -> None:
        """Changes one setting of a topic, e.g. `max.message.bytes`; it holds a moment later."""
        self._alter(ConfigResource(ConfigResource.Type.TOPIC, topic), name, value)

    def set_broker_config(self, name: str, value: str) -> None:
        """Changes a setting that may change while the broker runs; it holds a moment later."""
        self._alter(ConfigResource(ConfigResource.Type.BROKER, "1"), name, value)

    def topics(self) -> list[str]:
        """The names of all topics but Kafka's own."""
        found = self._admin.list_topics(timeout=10).topics
        return sorted(name for name in found if not name.startswith("__"))

    def permit(self, topic: str) -> None:
        """With `acls`: clients of `bootstrap` may write to and read from the topic."""
        self._acl(topic, AclOperation.ALL)

    def _acl(self, topic: str, operation: AclOperation) -> None:
        binding = AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            "User:ANONYMOUS",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for future in self._admin.create_acls([binding]).values():
            future.result(30)

    def _alter(self, resource: ConfigResource, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource.add_incremental_config(entry)
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(30)

    def _answers(self) -> bool:
        try:
            self._admin.list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def _running(self) -> Child:
        assert self.child is not None, "Kafka was never started"
        return self.child

    def _format(self) -> None:
        command = [
            *java_command(),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            kafka_settings.CLUSTER_ID,
        ]
        command += ["-c", str(self._folder / "server.properties")]
        subprocess.run(command, check=True, capture_output=True)
        self._is_formatted = True


def java_command() -> list[str]:
    """Java with Kafka's jars; what follows is a class of theirs.

    Raises:
        RuntimeError: they are not installed.
    """
    java = shutil.which("java")
    jars = Path(os.environ.get("ROUTERD_TEST_KAFKA", JARS))
    if java is None or not any(jars.glob("kafka_*.jar")):
        raise RuntimeError("Kafka is not installed for the tests: run `tests/run install`")
    return [java, *_JAVA_OPTIONS, "-cp", f"{jars}/*"]
