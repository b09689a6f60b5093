"""A real mosquitto: the MQTT broker that most users have.

It queues without limit here (`max_queued_messages 0`): what a test loses, routerd has lost.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.certs import Certs
from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.programs import find_program
from tests.rig.waiting import accepts


class Mosquitto:
    """A mosquitto on 127.0.0.1, running from `start` (or `with`) to `stop`.

    Args:
        persistence: keep sessions and queues in a file, saved after every turn of its loop that
            changed something. It slows the broker down; `kill` may lose the last turn.
        users: name -> password; without any, everybody may come in.
        tls: adds a TLS listener on `tls_port`, with `tls.server`'s certificate.
        client_certs: the TLS listener admits only clients with a certificate of that CA.
        websockets: adds a WebSocket listener on `websocket_port`.
        acl: the lines of an acl file.
        lines: further lines of its configuration, in the part for all listeners.
    """

    def __init__(
        self,
        *,
        persistence: bool = False,
        users: Mapping[str, str] | None = None,
        tls: Certs | None = None,
        client_certs: bool = False,
        websockets: bool = False,
        acl: Sequence[str] = (),
        lines: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.tls_port = free_port()
        self.websocket_port = free_port()
        self.child: Child | None = None
        self._temporary = tempfile.TemporaryDirectory(prefix="mosquitto-")
        self._folder = Path(self._temporary.name)
        self._waits_for = [self.port]
        settings = [*_COMMON, *self._persistence(persistence), *lines]
        settings += [*self._access(users, acl), f"listener {self.port} 127.0.0.1"]
        if tls is not None:
            settings += self._tls_listener(tls, client_certs)
        if websockets:
            settings += [f"listener {self.websocket_port} 127.0.0.1", "protocol websockets"]
            self._waits_for.append(self.websocket_port)
        (self._folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")

    @property
    def url(self) -> str:
        """The plain listener as routerd's `[mqtt]` table wants it."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """The TLS listener; its certificate is good for `localhost`."""
        return f"mqtts://localhost:{self.tls_port}"

    @property
    def websocket_url(self) -> str:
        """The WebSocket listener; it doesn't mind the path."""
        return f"ws://127.0.0.1:{self.websocket_port}/mqtt"

    @property
    def log(self) -> str:
        """All that it has written to its log, over restarts."""
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

    def start(self) -> None:
        """Returns when every listener accepts connections."""
        command = [find_program("mosquitto"), "-c", str(self._folder / "mosquitto.conf")]
        self.child = Child(command, name="mosquitto", folder=self._folder)
        self.child.wait_ready(lambda: all(map(accepts, self._waits_for)), timeout=10)

    def stop(self) -> None:
        """SIGTERM: it saves what it has and tells nobody."""
        self._running().terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._running().kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and silent."""
        self._running().freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().thaw()

    def forget(self) -> None:
        """Deletes what it keeps of sessions and messages. Only while it is stopped."""
        (self._folder / "mosquitto.db").unlink(missing_ok=True)

    def restart(self, *, forgets: bool = False) -> None:
        """Stops it if it runs and starts it on the same ports, as new if it `forgets`."""
        self.stop()
        if forgets:
            self.forget()
        self.start()

    def _running(self) -> Child:
        assert self.child is not None, "mosquitto was never started"
        return self.child

    def _persistence(self, wanted: bool) -> list[str]:
        if not wanted:
            return ["persistence false"]
        return [
            "persistence true",
            f"persistence_location {self._folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
        ]

    def _access(self, users: Mapping[str, str] | None, acl: Sequence[str]) -> list[str]:
        settings = []
        if users:
            file = self._folder / "passwords"
            file.touch(mode=0o600)
            for name, password in users.items():
                tool = find_program("mosquitto_passwd")
                subprocess.run([tool, "-b", str(file), name, password], check=True)
            settings += [f"password_file {file}"]
        if acl:
            file = self._folder / "acl"
            file.write_text("\n".join(acl) + "\n")
            settings += [f"acl_file {file}"]
        return [*settings, f"allow_anonymous {'false' if users else 'true'}"]

    def _tls_listener(self, certs: Certs, client_certs: bool) -> list[str]:
        self._waits_for.append(self.tls_port)
        return [
            f"listener {self.tls_port} 127.0.0.1",
            f"cafile {certs.ca}",
            f"certfile {certs.server.cert}",
            f"keyfile {certs.server.key}",
            f"require_certificate {'true' if client_certs else 'false'}",
        ]


_COMMON = (
    "max_queued_messages 0",
    "max_queued_bytes 0",
    "max_inflight_messages 0",
    "log_dest stderr",
    "log_type error",
    "log_type warning",
    "log_type notice",
    "connection_messages true",
    *(["user root"] if os.geteuid() == 0 else []),  # else it gives root up and can't save
)
