"""A container of the image, run by crun: the runtime that Podman has, without Docker's daemon.

As `docker run --read-only --network host --cap-drop ALL --security-opt no-new-privileges` would:
namespaces of its own, a root file system that nobody can write to, no capabilities. No cgroups and
no seccomp filter: what they limit is the machine's business.
"""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig import reaper
from tests.rig.image import Image
from tests.rig.process import Child
from tests.rig.programs import find_program
from tests.rig.waiting import wait_until

TABLE_IN_IMAGE = "/etc/routerd/routes.toml"
_numbers = itertools.count(1)

_WITHOUT_HYBRID_CGROUPS = """
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec "$@"
"""
"""crun refuses to start where cgroups of both versions are mounted; it gets a mount namespace
without the newer ones."""


class Container:
    """A container that runs `table` (TOML), from `start` (or `with`) to `stop`.

    Args:
        image: what it is made of.
        table: mounted where the image's command looks for it.
        env: added to the image's environment, or taken instead of all of it if `env_only`.
        env_only: no variable of the image's.
        user: uid and gid instead of the image's.
        arguments: instead of the image's command; what follows its entry point.
    """

    def __init__(
        self,
        image: Image,
        table: str,
        *,
        env: Mapping[str, str] | None = None,
        env_only: bool = False,
        user: tuple[int, int] | None = None,
        arguments: Sequence[str] | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="container-")
        self._folder = Path(self._temporary.name)
        self._id = f"routerd-{os.getpid()}-{next(_numbers)}"
        self.child: Child | None = None
        self._first_process: int | None = None
        (self._folder / "routes.toml").write_text(table)
        config = image.config
        first, *rest = config["Entrypoint"]
        command = [first, *rest, *(config["Cmd"] if arguments is None else arguments)]
        if env_only:
            command[0] = f"/opt/routerd/bin/{first}"
        uid, gid = user or tuple(int(number) for number in config["User"].split(":"))
        self._user = f"{uid}:{gid}"
        added = [f"{name}={value}" for name, value in (env or {}).items()]
        process = {
            "user": {"uid": uid, "gid": gid},
            "args": command,
            "env": [*([] if env_only else config["Env"]), *added],
            "cwd": config["WorkingDir"],
            "noNewPrivileges": True,
        }
        bundle = _runtime_config(process, image.root, self._folder / "routes.toml")
        (self._folder / "config.json").write_text(json.dumps(bundle))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close(shows_log=True)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(shows_log=exc is not None)

    def close(self, *, shows_log: bool = False) -> None:
        """Kills and removes it."""
        if self.child is not None:
            line = [*self._crun(), "delete", "--force", self._id]
            subprocess.run(line, capture_output=True, timeout=30, check=False)
            self.child.kill()
            if self._first_process is not None:
                reaper.forget(self._first_process)
            if shows_log:
                sys.stderr.write(f"--- log of the container\n{self.log[-20_000:]}\n")
        self._temporary.cleanup()

    def start(self, *, timeout: float = 30.0) -> None:
        """Returns when routerd in it has said that it is ready.

        Raises:
            RuntimeError: it ended instead.
        """
        self.launch()
        self._running().wait_ready(lambda: " ready version=" in self.log, timeout=timeout)
        self._first_process = self.pid
        reaper.watch(self._first_process)  # it doesn't end with its crun

    def launch(self) -> None:
        """Starts it and doesn't wait."""
        command = [*self._crun(), "run", "--bundle", str(self._folder), self._id]
        # crun gives its standard streams to the container's user: /dev/null must not be one.
        self.child = Child(command, name="crun", folder=self._folder, stdin=subprocess.PIPE)
        if self.child.process.stdin is not None:
            self.child.process.stdin.close()

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._running().stderr

    def port(self, listener: str) -> int:
        """Where its listener (`ws`, `admin`) is bound on 127.0.0.1."""
        found = re.search(rf" {listener}=127\.0\.0\.1:(\d+)", self.log)
        assert found is not None, f"routerd is not ready or has no {listener}"
        return int(found[1])

    @property
    def pid(self) -> int:
        """The machine's number for its first process."""
        return int(json.loads(_output([*self._crun(), "state", self._id]))["pid"])

    def wait_logged(self, text: str) -> None:
        """Blocks until it has logged `text`."""
        wait_until(lambda: text in self.log, f"the container logs {text!r}", timeout=20)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs one more program in it, as `docker exec` does."""
        line = [*self._crun(), "exec", f"--user={self._user}", "--no-new-privs", self._id, *command]
        return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)

    def stop(self) -> int:
        """What `docker stop` does first: SIGTERM to its first process; its exit code."""
        self.signal("TERM")
        return self.wait()

    def signal(self, name: str) -> None:
        """Sends a signal to its first process."""
        _output([*self._crun(), "kill", self._id, name])

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._running().wait(timeout=30)

    def _crun(self) -> list[str]:
        unshared = [find_program("unshare"), "--mount", "sh", "-c", _WITHOUT_HYBRID_CGROUPS, "sh"]
        state = f"--root={self._folder}/state"
        return [*unshared, find_program("crun"), state, "--cgroup-manager=disabled"]

    def _running(self) -> Child:
        assert self.child is not None, "the container was never started"
        return self.child


def _runtime_config(process: object, root: Path, table: Path) -> object:
    """The config.json of a bundle, by the OCI runtime specification."""
    shm = {"destination": "/dev/shm", "type": "tmpfs", "source": "shm"}  # noqa: S108 - a mount
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            shm,
            _bound(table, TABLE_IN_IMAGE),
            *[_bound(Path(name), name) for name in ("/etc/hosts", "/etc/resolv.conf")],
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts")]},
    }


def _bound(outside: Path, inside: str) -> object:
    options = ["bind", "ro"]
    return {"destination": inside, "type": "bind", "source": str(outside), "options": options}


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command[-3:])}: {done.stderr}")
    return done.stdout
