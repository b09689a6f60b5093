"""The command line that scripts and service managers rely on, as processes see it."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from routerd import __version__
from tests.rig.daemon import Routerd

WORKS_ALONE = """
[ws]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = "group:/chat/{room}"
"""
BAD = WORKS_ALONE.replace("name =", "nam =")

StartRouterd = Callable[..., Routerd]


def routerd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "routerd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "routes.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.slow
def test_version_and_help_say_what_people_expect() -> None:
    assert routerd("--version").stdout == f"routerd {__version__}\n"
    for command in ([], ["check"], ["demo"]):
        answer = routerd(*command, "--help")
        assert answer.returncode == 0
        # Examples stay a line each.
        assert re.search(r"^  routerd [a-z-]+.*$", answer.stdout, re.MULTILINE)
        assert "\\b" not in answer.stdout


@pytest.mark.slow
def test_without_a_table_it_shows_its_help_and_fails() -> None:
    answer = routerd()
    assert answer.returncode == 2
    assert "--config" in answer.stdout


@pytest.mark.slow
def test_check_prints_what_each_route_promises(write: Callable[[str], Path]) -> None:
    answer = routerd("check", write(WORKS_ALONE))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(
        "chat: ws:/chat/{room} -> group:/chat/{room}; at most once: WebSocket"
    )


@pytest.mark.slow
def test_check_and_the_daemon_say_the_same_of_a_bad_table(write: Callable[[str], Path]) -> None:
    path = write(BAD)
    checked, run = routerd("check", path), routerd("--config", path)
    assert checked.returncode == run.returncode == 78
    assert checked.stdout == run.stdout == ""
    assert checked.stderr == run.stderr
    assert f"{path}:9: " in checked.stderr
    assert "did you mean `name`?" in checked.stderr


@pytest.mark.slow
def test_check_gives_its_findings_as_json_too(write: Callable[[str], Path]) -> None:
    good = json.loads(routerd("check", "--format", "json", write(WORKS_ALONE)).stdout)
    assert (good["ok"], good["routes"][0]["name"]) == (True, "chat")
    answer = routerd("check", "--format", "json", write(BAD))
    bad = json.loads(answer.stdout)
    assert (answer.returncode, bad["ok"]) == (78, False)
    assert {"line", "sentence"} == set(bad["problems"][0])


@pytest.mark.slow
def test_a_missing_file_is_bad_configuration(tmp_path: Path) -> None:
    answer = routerd("--config", tmp_path / "nowhere.toml")
    assert answer.returncode == 78
    assert "nowhere.toml: can't be read: No such file" in answer.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_is_no_start(write: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = write(
            WORKS_ALONE.replace('[ws]\nlisten = "127.0.0.1:0"', f'[ws]\nlisten = "{address}"')
        )
        answer = routerd("--config", path)
    assert answer.returncode == 1
    assert "[ws]" in answer.stderr
    assert address in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_stop(number: signal.Signals, start_routerd: StartRouterd) -> None:
    daemon = start_routerd(WORKS_ALONE)
    assert daemon.child is not None
    daemon.child.signal(number)
    assert daemon.wait() == 0
    assert daemon.events("stopped")
    assert daemon.troubles() == []


@pytest.mark.slow
def test_sighup_says_that_reload_comes_later_and_changes_nothing(
    start_routerd: StartRouterd,
) -> None:
    daemon = start_routerd(WORKS_ALONE)
    assert daemon.child is not None
    before = len(daemon.log)
    daemon.child.signal(signal.SIGHUP)
    daemon.wait_event("reload comes with a later version, nothing was changed")
    assert len(daemon.log) == before + 1
    assert daemon.get("/readyz").status == 200
    assert daemon.stop() == 0


@pytest.mark.slow
def test_ready_says_where_it_listens(start_routerd: StartRouterd) -> None:
    daemon = start_routerd(WORKS_ALONE)
    [ready] = daemon.events("ready")
    assert ready["routes"] == 1
    assert {"ws", "admin"} <= ready.keys()
    assert daemon.ws_address[1] != 0


@pytest.mark.slow
def test_a_full_pipe_on_stderr_stops_nothing(write: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "routerd", "--config", str(write(WORKS_ALONE))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("ready" in line for line in process.stderr)
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(20) == 0
