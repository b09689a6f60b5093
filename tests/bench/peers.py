"""The peers, installed by name into an environment of their own that lies in tests/.cache."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.rig.process import Child

REQUIREMENT = "mq-bridge==1.2.0"  # pinned: figures of two days should mean the same
_HOME = Path(__file__).parent.parent / ".cache" / "peers"
_ENVIRONMENT = _HOME / REQUIREMENT.replace("==", "-")
_SECONDS_TO_INSTALL = 300


def python() -> Path:
    """The interpreter that can import mq_bridge; installs it when it is not there yet.

    Raises:
        RuntimeError: it can't be installed; says pip's last lines.
    """
    if trouble := _trouble_installing():
        raise RuntimeError(trouble)
    return _ENVIRONMENT / "bin" / "python"


@cache
def _trouble_installing() -> str:
    """Empty if it is there. Tried once: without a network, pip takes its time to give up."""
    done = _ENVIRONMENT / "installed"
    if done.exists():
        return ""
    sys.stderr.write(f"installing {REQUIREMENT}\n")
    _HOME.mkdir(parents=True, exist_ok=True)
    trouble = _run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT]) or _run(
        [_ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", REQUIREMENT]
    )
    if not trouble:
        done.touch()
    return trouble


def _run(command: list[str | Path]) -> str:
    child = Child(command, name="install", folder=_HOME)
    try:
        if child.wait(timeout=_SECONDS_TO_INSTALL) == 0:
            return ""
    except subprocess.TimeoutExpired:
        child.kill()
    return f"{REQUIREMENT} was not installed: {child.stderr[-500:].strip()}"
