"""The container image, built from the Dockerfile by buildah, where no registry need be reachable.

The base is a stand-in for `python:3.13-slim`: Debian as its own slim images are, with Debian's
Python, made by debootstrap from the mirror in this machine's apt sources. It is kept as a tarball
under `tests/.cache`. All else lies in a storage of the rig's own there, which goes with `close`.
Needs root, as debootstrap does.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

from tests.rig import pip_settings
from tests.rig.programs import find_program

_PROJECT = Path(__file__).parent.parent.parent
_CACHE = _PROJECT / "tests" / ".cache" / "image"
_PACKAGES = "ca-certificates,python3,python3-venv"
_SLIMMED = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
"""Folders of /usr/share that Debian's slim images leave empty."""
_EMPTIED = (*(f"usr/share/{name}" for name in _SLIMMED), "var/cache/apt", "var/lib/apt/lists")
_BASE, _ROUTERD = "localhost/base", "localhost/routerd"


class Healthcheck(TypedDict):
    """As Docker keeps it; times in nanoseconds."""

    Test: list[str]
    Interval: int
    Timeout: int
    StartPeriod: int


class ImageConfig(TypedDict):
    """What the image says of itself, as Docker keeps it."""

    User: str
    Env: list[str]
    Entrypoint: list[str]
    Cmd: list[str]
    WorkingDir: str
    StopSignal: str
    ExposedPorts: dict[str, object]
    Labels: dict[str, str]
    Healthcheck: Healthcheck


class Image:
    """The image of the files as they lie in the project now, from `with` to its end.

    One at a time on a machine: a second one waits for the first to be closed.

    Attributes:
        root: its root file system, unpacked.
        config: how it is to be run.
        size: bytes of all its files, as `docker images` counts them, but in the stand-in base.
        base_size: those of the base alone.
    """

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise PermissionError("only root can make the base image; see tests/rig/image.py")
        _CACHE.mkdir(parents=True, exist_ok=True)
        self._lock = (_CACHE / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._storage = _CACHE / "storage"
        try:
            self._remove_storage()
            self._build()
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
        """Removes all but the tarball of the base."""
        try:
            self._remove_storage()
        finally:
            self._lock.close()

    def _remove_storage(self) -> None:
        # Nothing is mounted in it: with this isolation no mount outlives its command.
        if self._storage.exists():
            shutil.rmtree(self._storage)

    def _build(self) -> None:
        tarball = _base_tarball()
        try:
            self._driver = "overlay"
            self._import_base(tarball)
        except subprocess.CalledProcessError:  # e.g. on an overlay, as in a container
            self._remove_storage()
            self._driver = "vfs"
            self._import_base(tarball)
        self.root = self._storage / "exported"
        with tempfile.TemporaryDirectory(dir=self._storage) as folder:
            context, pip = Path(folder) / "context", Path(folder) / "pip.conf"
            _copy_project(context)
            mounts = pip_settings.write(pip)
            options = ["--isolation=chroot", "--network=host", "--format=docker"]
            options += [f"--build-arg=BASE={_BASE}", f"--tag={_ROUTERD}"]
            options += [f"--output=type=local,dest={self.root}"]
            options += [f"--volume={outside}:{inside}:ro" for outside, inside in mounts]
            self._buildah("bud", *options, str(context))
        self.root.chmod(0o755)  # the export says nothing of the folder that it came from
        inspected = json.loads(self._buildah("inspect", "--type=image", _ROUTERD))
        self.config: ImageConfig = inspected["Docker"]["config"]
        self.size, self.base_size = self._size(_ROUTERD), self._size(_BASE)

    def _import_base(self, tarball: Path) -> None:
        container = self._buildah("from", "scratch").strip()
        self._buildah("add", "--quiet", container, str(tarball), "/")
        self._buildah("commit", "--quiet", "--rm", container, _BASE)

    def _size(self, name: str) -> int:
        shown = self._buildah("images", "--format={{.Size}}", name).split()
        units = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
        return int(float(shown[0]) * units[shown[1]])

    def _buildah(self, *arguments: str) -> str:
        storage = [f"--root={self._storage}/root", f"--runroot={self._storage}/run"]
        storage.append(f"--storage-driver={self._driver}")
        return _run([find_program("buildah"), *storage, *arguments])


def _base_tarball() -> Path:
    """The stand-in base; the first call takes a minute."""
    mirror, release = _debian()
    recipe = f"{release} {_PACKAGES} {_EMPTIED} {os.uname().machine}"
    tarball = _CACHE / f"base-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if tarball.exists():
        return tarball
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        root, unfinished = Path(folder) / "root", Path(folder) / "base.tar"
        command = [find_program("debootstrap"), "--variant=minbase", f"--include={_PACKAGES}"]
        _run([*command, release, str(root), mirror])
        for name in _EMPTIED:
            shutil.rmtree(root / name, ignore_errors=True)
        _run(["tar", "-C", str(root), "--exclude=./dev/*", "-cf", str(unfinished), "."])
        unfinished.rename(tarball)
    return tarball


def _debian() -> tuple[str, str]:
    """The mirror and the release that this machine itself is made of."""
    text = Path("/etc/os-release").read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    release = lines["VERSION_CODENAME"].strip('"')
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    command = [find_program("apt-get"), "indextargets", "--format", form, "Created-By: Packages"]
    for line in _run(command).splitlines():
        found, component, mirror = line.split(" ", 2)
        if (found, component) == (release, "main"):
            return mirror, release
    raise RuntimeError(f"the apt sources have no `main` of {release}: no base image without it")


def _copy_project(to: Path) -> None:
    """What git would commit: the build sees no file that a clean checkout doesn't have."""
    listed = _run(
        ["git", "-C", str(_PROJECT), "ls-files", "-z", "-co", "--exclude-standard", "--deduplicate"]
    )
    for name in filter(None, listed.split("\0")):
        if (_PROJECT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_PROJECT / name, to / name)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stdout + done.stderr)[-3000:]
        raise subprocess.CalledProcessError(done.returncode, command, last)
    return done.stdout
