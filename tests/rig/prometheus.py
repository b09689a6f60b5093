"""A real Prometheus, asked over its HTTP API. It listens on 127.0.0.1 only and keeps nothing."""

import http.client
import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.waiting import accepts

JsonObject = dict[str, Any]


class Prometheus:
    """A Prometheus, running from `with` to its end.

    Args:
        program: its path.
        config: its configuration; what that names beside itself is read too.
    """

    def __init__(self, program: str, config: Path) -> None:
        self.port = free_port()
        self._program = program
        self._config = config
        self._temporary = tempfile.TemporaryDirectory(prefix="prometheus-")
        self.child: Child | None = None

    def __enter__(self) -> Self:
        folder = Path(self._temporary.name)
        command = [
            self._program,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.max-connections=16",
        ]
        self.child = Child(command, name="prometheus", folder=folder)
        try:
            self.child.wait_ready(self._is_ready, timeout=30)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self.child is not None:
            self.child.terminate()
        self._temporary.cleanup()

    def ask(self, path: str) -> JsonObject:
        """The data of an answer of `/api/v1`.

        Raises:
            RuntimeError: Prometheus refused.
        """
        status, text = self._get(f"/api/v1/{path}")
        if status != http.client.OK:
            raise RuntimeError(f"Prometheus answered {status} to {path}: {text}")
        data: JsonObject = json.loads(text)["data"]
        return data

    def query(self, expression: str) -> list[JsonObject]:
        """The samples of an expression now: `metric` and `value`."""
        found: list[JsonObject] = self.ask(f"query?query={quote(expression)}")["result"]
        return found

    def _is_ready(self) -> bool:
        return accepts(self.port) and self._get("/-/ready")[0] == http.client.OK

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()
