"""Child processes of the rig: they end when they should, and surely with whoever started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.process import Child
from tests.rig.waiting import wait_until

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent
STUBBORN = ["sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.05; done']
FAMILY = ["sh", "-c", "sleep 60 & echo $!; wait"]
"""A parent that says its child's pid."""
ORPHANER = """
import pathlib, sys, time
from tests.rig.process import Child
child = Child(["sh", "-c", "sleep 60 & echo $!; wait"], name="x", folder=pathlib.Path(sys.argv[1]))
while "\\n" not in child.stdout:
    time.sleep(0.01)
print(child.pid, child.stdout.strip(), flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def says_something(child: Child) -> str:
    wait_until(lambda: "\n" in child.stdout, "it says something")
    return child.stdout.strip()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[Child, int]]:
    """A child, and the pid of its own child."""
    child = Child(FAMILY, name="family", folder=tmp_path)
    yield child, int(says_something(child))
    child.kill()


def test_kill_reaches_the_grandchildren(family: tuple[Child, int]) -> None:
    child, grandchild = family
    assert is_alive(grandchild)
    child.kill()
    wait_until(lambda: not is_alive(grandchild), "the grandchild is gone")
    assert not child.is_running


def test_terminate_gives_the_exit_code_and_leaves_no_grandchild(tmp_path: Path) -> None:
    script = 'trap "exit 7" TERM; sleep 60 & echo $!; wait'
    child = Child(["sh", "-c", script], name="polite", folder=tmp_path)
    grandchild = int(says_something(child))
    assert child.terminate() == 7
    wait_until(lambda: not is_alive(grandchild), "the grandchild is gone")


def test_terminate_kills_who_does_not_listen(tmp_path: Path) -> None:
    child = Child(STUBBORN, name="stubborn", folder=tmp_path)
    says_something(child)
    assert child.terminate(timeout=0.3) == -signal.SIGKILL


def test_a_frozen_child_is_thawed_to_be_terminated(tmp_path: Path) -> None:
    child = Child(["sleep", "60"], name="sleeper", folder=tmp_path)
    child.freeze()
    assert child.terminate() == -signal.SIGTERM


def test_freeze_stops_the_process_and_thaw_lets_it_go_on(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "while :; do echo x; sleep 0.01; done"], name="x", folder=tmp_path)
    try:
        says_something(child)
        child.freeze()
        state = Path(f"/proc/{child.pid}/stat")
        wait_until(lambda: state.read_text().split()[2] == "T", "it stands")
        before = len(child.stdout)
        child.thaw()
        wait_until(lambda: len(child.stdout) > before, "it goes on")
    finally:
        child.kill()


def test_one_that_ends_instead_of_getting_ready_is_quoted(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "echo no such key >&2; exit 3"], name="broken", folder=tmp_path)
    with pytest.raises(RuntimeError, match="broken ended with 3: no such key"):
        child.wait_ready(lambda: False, timeout=10)


def test_one_that_does_not_get_ready_in_time_is_named(tmp_path: Path) -> None:
    child = Child(["sleep", "60"], name="lazy", folder=tmp_path)
    with pytest.raises(TimeoutError, match="lazy is ready"):
        child.wait_ready(lambda: False, timeout=0.05)
    child.kill()


def test_output_of_two_of_one_name_is_kept(tmp_path: Path) -> None:
    first = Child(["echo", "first"], name="echo", folder=tmp_path)
    assert first.wait() == 0
    second = Child(["echo", "second"], name="echo", folder=tmp_path)
    assert second.wait() == 0
    assert second.stdout == "first\nsecond\n"


def test_processor_time_and_memory_are_those_of_the_child(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "while True: pass"], name="busy", folder=tmp_path)
    try:
        wait_until(lambda: child.cpu_seconds > 0.05, "it uses the processor")
        assert child.resident_bytes > 1_000_000
    finally:
        child.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_die_with_whoever_started_them(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANER, str(tmp_path)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child, grandchild = map(int, parent.stdout.readline().split())
        assert is_alive(child)
        assert is_alive(grandchild)
        parent.send_signal(number)
    wait_until(lambda: not is_alive(child), "the child is gone")
    wait_until(lambda: not is_alive(grandchild), "the grandchild is gone")


def test_pytest_killed_in_the_middle_leaves_no_broker_behind(tmp_path: Path) -> None:
    test = tmp_path / "test_that_hangs.py"
    note = tmp_path / "pid"
    test.write_text(
        "import pathlib, time\n"
        "def test_that_hangs(embedded_mqtt):\n"
        f"    pathlib.Path({str(note)!r}).write_text(str(embedded_mqtt.child.pid))\n"
        "    time.sleep(60)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-o",
        f"cache_dir={tmp_path}",
    ]
    with subprocess.Popen(
        [*command, "-c", str(PROJECT / "pyproject.toml"), str(test)],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody tidies up after a kill
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        wait_until(lambda: note.exists() and note.read_text() != "", "the broker runs", timeout=30)
        broker = int(note.read_text())
        assert is_alive(broker)
        run.kill()
        wait_until(lambda: not is_alive(broker), "the broker is gone")
