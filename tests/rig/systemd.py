"""A real systemd, the first process of namespaces of its own, on a view of this machine.

It sees this machine's files and writes to none of them: what it and its services write lies in
memory and is gone with it. No unit of this machine runs there; the journal does, and what a test
installs. The network is this machine's, so brokers on 127.0.0.1 are reached. Takes root.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.process import Child
from tests.rig.programs import find_program
from tests.rig.waiting import wait_until

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a login gives; nothing of a virtual environment, nothing in a home directory."""

_OUTSIDE = """
set -eu
folder=$1 cgroup=$2 shown=$3 inside=$4
mount -t tmpfs none "$folder"
mkdir "$folder/cgroup"
mount -t cgroup2 none "$folder/cgroup"
mkdir -p "$folder/cgroup/$cgroup"
echo $$ >"$folder/cgroup/$cgroup/cgroup.procs"
umount "$folder/cgroup"
exec unshare --pid --uts --ipc --cgroup --fork --kill-child \
    sh -c "$inside" sh "$folder" "$shown"
"""
"""A cgroup first: the namespace that follows shows its own as the root of all."""

_INSIDE = """
set -eu
cd "$1"
mkdir upper work root
mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc none proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs none sys
mount -o remount,bind,ro sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=755 none dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 none dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir -p "./$2"
mount --bind "$2" "./$2"
# Mounts of their own in some containers, so the overlay has other files there.
for file in etc/hosts etc/resolv.conf; do
    if test -e "/$file"; then cp --remove-destination "/$file" "$file"; fi
done

rm -rf etc/systemd/system usr/lib/systemd/system-generators usr/lib/systemd/system/*.wants
rm -rf etc/routerd opt/routerd var/log/journal usr/local/lib/systemd
mkdir -p etc/systemd/system usr/local/bin
for target in sysinit basic; do
    printf '[Unit]\\nDefaultDependencies=no\\n' >"etc/systemd/system/$target.target"
done
cat >etc/systemd/system/idle.target <<END
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
After=systemd-journald.service
END
printf '#!/bin/sh\\nexec "$@"\\n' >usr/local/bin/sudo
chmod +x usr/local/bin/sudo

mkdir old
pivot_root . old
umount -l old
# systemd does so by itself, but not in a container; credentials need it.
mount --make-rshared /
exec env -i container=other PATH="$PATH" setpriv --bounding-set="$CANT" \
    /lib/systemd/systemd --system --unit=idle.target --log-target=journal --show-status=no
"""

_CANT = "-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-net_admin,-audit_control,-audit_read"
"""Capabilities over what is no namespace's own."""


class Systemd:
    """A systemd, running from `with` to its end.

    Args:
        shown: a folder of the test's that both sides may write to; there it has the same path.
    """

    def __init__(self, shown: Path) -> None:
        self._shown = shown
        self._temporary = tempfile.TemporaryDirectory(prefix="systemd-")
        self._folder = Path(self._temporary.name)
        self._root = self._folder / "root"
        self._root.mkdir()
        self._cgroup = self._folder.name
        self._first_process = ""
        self.child: Child | None = None

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "namespaces take root"
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

    def start(self) -> None:
        """Returns when it takes commands."""
        find_program("systemd-analyze")  # of the same package: says what to install
        outside = ["sh", "-c", _OUTSIDE, "sh", self._root, self._cgroup, self._shown, _INSIDE]
        command = [find_program("unshare"), "--mount", *map(str, outside)]
        env = {"PATH": PATH, "CANT": _CANT}
        self.child = child = Child(command, name="systemd", folder=self._folder, env=env)
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        child.wait_ready(lambda: self._is_up(children), timeout=30)

    def close(self, *, shows_log: bool = False) -> None:
        """Kills it and all that it runs, and removes what it wrote."""
        if self.child is not None:
            if shows_log and self.child.is_running and self._first_process:
                sys.stderr.write(f"--- the journal\n{self._try('journalctl').stdout[-20_000:]}\n")
            if shows_log:
                sys.stderr.write(f"--- systemd itself\n{self.child.stderr[-5_000:]}\n")
            self.child.kill()
            self._remove_cgroup()
        self._temporary.cleanup()

    def run(self, script: str, *, folder: str = "/", timeout: float = 60.0) -> str:
        """What a shell script writes in there, to stdout and stderr.

        Raises:
            RuntimeError: a command of it failed; says what the script wrote.
        """
        done = self._try(f"cd {shlex.quote(folder)}\n{script}", timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode} of\n{script}\n{done.stdout}")
        return done.stdout

    def property(self, unit: str, name: str) -> str:
        """What `systemctl show` says of a unit: `ActiveState`, `StatusText`, `NRestarts`."""
        return self.run(f"systemctl show --property={name} --value {unit}").strip()

    def _is_up(self, children: Path) -> bool:
        # Before pivot_root this would ask the machine's own, if it has one.
        self._first_process = children.read_text().strip()
        return (
            bool(self._first_process)
            and "active"
            in self._try(
                "test $(cat /proc/1/comm) = systemd && systemctl is-active idle.target"
            ).stdout.split()
        )

    def _try(self, script: str, *, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup"]
        return subprocess.run(
            [find_program("nsenter"), "--target", self._first_process, *spaces,
             "sh", "-eu", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout, check=False,
            env={**os.environ, "PATH": PATH, "HOME": "/root"},
        )  # fmt: skip

    def _remove_cgroup(self) -> None:
        find = 'mount -t cgroup2 none "$1" && cd "$1" && find "$2" -depth -type d -exec rmdir {} +'
        arguments = ["sh", "-c", find, "sh", str(self._root), self._cgroup]
        command = [find_program("unshare"), "--mount", *arguments]
        wait_until(  # until the last process is really gone
            lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0,
            "the cgroup of systemd is empty",
        )
