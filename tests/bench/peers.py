"""The peers, installed by name into environments of their own that lie in tests/.cache."""

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.rig.process import Child

# Pinned: figures of two days should mean the same.
MQ_BRIDGE = "mq-bridge==1.2.0"
WEBSOCKETS = "websockets==17.4"
WS = "ws@8.23.0"
NGINX = Path("/usr/sbin/nginx")
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_HOME = Path(__file__).parent.parent / ".cache" / "peers"
_SECONDS_TO_INSTALL = 300


def python(requirement: str) -> Path:
    """The interpreter that can import it; installs it when it is not there yet.

    Raises:
        RuntimeError: it can't be installed; says pip's last lines.
    """
    home = _home(requirement)
    bin_ = home / "bin"
    return (
        _install(
            requirement,
            (sys.executable, "-m", "venv", "--clear", str(home)),
            (str(bin_ / "python"), "-m", "pip", "install", "--quiet", requirement),
        )
        / "bin"
        / "python"
    )


def node_path(requirement: str) -> Path:
    """What NODE_PATH must be for a program that requires it; as `python`."""
    home = _home(requirement)
    command = ("npm", "install", "--silent", "--no-save", "--prefix", str(home), requirement)
    return _install(requirement, command) / "node_modules"


def nginx_with_nchan() -> None:
    """Whether they are there: they belong to the machine.

    Raises:
        RuntimeError: they aren't.
    """
    if not (NGINX.exists() and NCHAN.exists()):
        raise RuntimeError("not installed: apt install nginx libnginx-mod-nchan")


def _home(requirement: str) -> Path:
    return _HOME / requirement.replace("==", "-").replace("@", "-")


def _install(requirement: str, *commands: tuple[str, ...]) -> Path:
    if trouble := _trouble_installing(requirement, commands):
        raise RuntimeError(trouble)
    return _home(requirement)


@cache
def _trouble_installing(requirement: str, commands: tuple[tuple[str, ...], ...]) -> str:
    """Empty if it is there. Tried once: without a network, pip takes its time to give up."""
    done = _home(requirement) / "installed"
    if done.exists():
        return ""
    sys.stderr.write(f"installing {requirement}\n")
    done.parent.mkdir(parents=True, exist_ok=True)
    for command in commands:
        if trouble := _run(command):
            return f"{requirement} was not installed: {trouble}"
    done.touch()
    return ""


def _run(command: Sequence[str]) -> str:
    try:
        child = Child(command, name="install", folder=_HOME)
    except FileNotFoundError:
        return f"there is no {command[0]}"
    try:
        if child.wait(timeout=_SECONDS_TO_INSTALL) == 0:
            return ""
    except subprocess.TimeoutExpired:
        child.kill()
    return child.stderr[-500:].strip()
