"""`routerd demo` as a real process, for tests that look at it from outside."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.rig.process import Child
from tests.rig.waiting import wait_until

_PROJECT = Path(__file__).parent.parent
_READY = "Ctrl-C"
_SUMMARY = re.compile(
    r"published (\d+) +confirmed by MQTT (\d+) +in Kafka (\d+) +lost (\d+) +duplicates (\d+)"
)

Facts = dict[str, object]


class Demo:
    """A running demo.

    Attributes:
        url: its page.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        child.wait_ready(lambda: _READY in child.stdout, timeout=30)
        found = re.search(r"open (http://\S+)", child.stdout)
        assert found, child.stdout
        self.url = found[1]

    def facts(self) -> Facts:
        """What the page shows now."""
        facts: Facts = httpx.get(f"{self.url}facts.json", trust_env=False).json()
        return facts

    def act(self, action: str) -> None:
        """Presses a button."""
        answer = httpx.post(f"{self.url}act", json={"action": action}, trust_env=False)
        assert answer.status_code == 200, answer.text

    def wait_facts(self, is_so: Callable[[Facts], bool], what: str) -> None:
        """Blocks until the facts are so."""
        wait_until(lambda: is_so(self.facts()), what, timeout=60)

    def press_ctrl_c(self) -> None:
        """What a terminal does: every process of the group gets the signal."""
        os.killpg(self.child.pid, signal.SIGINT)

    def end(self) -> tuple[int, dict[str, int]]:
        """Its exit code and its summary, once it has ended after `press_ctrl_c`."""
        code = self.child.wait(timeout=60)
        return code, read_summary(self.child.stdout)


@contextmanager
def open_demo(*arguments: str) -> Iterator[Demo]:
    """Starts it and surely ends it; says what it logged if the test fails."""
    with TemporaryDirectory(prefix="demo-") as folder:
        command = [sys.executable, "-m", "routerd", "demo", *arguments]
        env = {"PYTHONPATH": str(_PROJECT)}
        child = Child(command, name="demo", folder=Path(folder), env=env)
        try:
            yield Demo(child)
        except BaseException:
            sys.stderr.write(child.stdout + child.stderr)
            raise
        finally:
            child.kill()


def read_summary(said: str) -> dict[str, int]:
    """The numbers of its last line."""
    found = _SUMMARY.search(said)
    assert found, said
    names = ("published", "confirmed", "in_kafka", "lost", "duplicates")
    return dict(zip(names, map(int, found.groups()), strict=True))
