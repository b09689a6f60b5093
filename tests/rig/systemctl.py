"""A `systemctl` for machines where no systemd runs: starts one unit as systemd would, more or less.

Run as a program in its place. It knows `daemon-reload`, `enable --now NAME`, `status NAME` and
`stop NAME`. Of a unit it heeds ExecStart, LoadCredential and Type=notify, drop-ins included; the
rest is for `systemd-analyze`.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.rig.service_manager import ServiceManager
from tests.rig.waiting import wait_until

UNITS = Path("/etc/systemd/system")


def main(*words: str) -> None:
    """Does what a command line says; `SYSTEMCTL_STATE` is a folder of the caller's."""
    state = Path(os.environ["SYSTEMCTL_STATE"])
    match words:
        case ("daemon-reload",):
            for unit in UNITS.glob("*.service"):
                subprocess.run(["systemd-analyze", "verify", str(unit)], check=True)
        case ("enable", "--now", name):
            enable(name, state)
        case ("status", name):
            print((state / name).read_text())  # noqa: T201 - as systemctl does
        case ("stop", name):
            os.kill(json.loads((state / name).read_text())["pid"], signal.SIGTERM)
        case _:
            raise SystemExit(f"no systemctl {' '.join(words)} here")


def enable(name: str, state: Path) -> None:
    """Starts the unit and returns when it is ready."""
    lines = (UNITS / f"{name}.service").read_text().splitlines()
    for drop_in in sorted(UNITS.glob(f"{name}.service.d/*.conf")):
        lines += drop_in.read_text().splitlines()
    settings = [line.partition("=") for line in lines if line[:1] not in {"#", "["}]
    credentials = state / "credentials"
    credentials.mkdir(mode=0o700)
    for key, _, value in settings:
        if key == "LoadCredential":
            credential, _, path = value.partition(":")
            shutil.copy(path, credentials / credential)
            (credentials / credential).chmod(0o400)
    [command] = [value for key, _, value in settings if key == "ExecStart"]
    with ServiceManager() as manager, (state / "journal").open("wb") as journal:
        service = subprocess.Popen(
            shlex.split(command),
            env={"PATH": os.defpath, "CREDENTIALS_DIRECTORY": str(credentials), **manager.env},
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
            cwd="/",
        )
        wait_until(
            lambda: service.poll() is not None or manager.count("READY=1") > 0, f"{name} is ready"
        )
        if service.poll() is not None:
            raise SystemExit(f"{name} ended: {(state / 'journal').read_text()}")
        wait_until(lambda: manager.status.startswith("1 of 1 routes"), "its route runs")
        facts = {"pid": service.pid, "status": manager.status}
        (state / name).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
