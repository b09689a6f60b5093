"""The command line that scripts and service managers rely on, as processes see it."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from routerd import __version__
from routerd.usage import FIRST_TABLE
from tests.rig.daemon import Routerd
from tests.rig.waiting import wait_until

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

PROJECT = Path(__file__).parent.parent
StartRouterd = Callable[..., Routerd]


def routerd(
    *arguments: str | Path, folder: Path = PROJECT, **env: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "routerd", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "routes.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`routerd` as pip installs it."""
    path = tmp_path / "bin" / "routerd"
    path.parent.mkdir()
    imports = f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\nfrom routerd.cli import main\n"
    path.write_text(f"#!{sys.executable}\n{imports}main()\n")
    path.chmod(0o755)
    return path


def on_a_terminal(
    *arguments: str | Path, columns: int = 80, folder: Path = PROJECT, **env: str
) -> str:
    """What a person sees, who has nothing but a terminal."""
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    command = [sys.executable, "-m", "routerd", *map(str, arguments)]
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "", "PYTHONPATH": str(PROJECT), **env}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=folder
    ) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while part := os.read(mine, 65_536):
                seen += part
        os.close(mine)
        process.wait(30)
    return seen.decode().replace("\r\n", "\n")


# --- help


@pytest.mark.slow
def test_version_and_help_say_what_people_expect() -> None:
    assert routerd("--version").stdout == f"routerd {__version__}\n"
    for command in ([], ["check"], ["demo"]):
        answer = routerd(*command, "--help")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout == routerd(*command, "-h").stdout
        assert max(map(len, answer.stdout.splitlines())) <= 80
        # Examples stay a line each.
        assert re.search(rf"^  {' '.join(['routerd', *command])} [a-z-]+.*$", answer.stdout, re.M)
        assert re.search(r"[Ee]xit codes?", answer.stdout)
        assert "\b" not in answer.stdout
        assert "..." not in answer.stdout.partition("\n")[2]  # no sentence is cut short


@pytest.mark.slow
def test_without_a_table_it_shows_its_help_and_fails() -> None:
    answer = routerd()
    assert (answer.returncode, answer.stderr) == (2, "")
    assert answer.stdout == routerd("--help").stdout


@pytest.mark.slow
def test_the_table_to_begin_with_is_good(write: Callable[[str], Path]) -> None:
    shown = routerd("check", "--help").stdout
    assert textwrap.indent(FIRST_TABLE, "    ") in shown
    answer = routerd("check", write(FIRST_TABLE))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "at least once: PUBACK after kafka:telemetry" in answer.stdout
    assert "warning" not in answer.stdout


@pytest.mark.slow
def test_the_module_is_the_same_program(program: Path, write: Callable[[str], Path]) -> None:
    for arguments in (["--help"], ["check", "--help"], ["chek"], ["check", str(write(BAD))]):
        same = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        answer = routerd(*arguments)
        assert (answer.returncode, answer.stdout, answer.stderr) == (
            same.returncode, same.stdout, same.stderr,
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "Missing argument 'FILE'"),
        (["chek"], "No such command 'chek'"),
        (["--confg", "x"], "No such option"),
        (["--config"], "'--config' requires an argument"),
        (["--log-level", "loud", "--config", "x"], "'loud' is not one of"),
        (["--config", "x", "check", "x"], "--config is for running the daemon, and check doesn't"),
        (["--log-format", "json", "check", "x"], "--log-format is for running the daemon"),
        (["--log-level", "info", "demo"], "--log-level is for running the daemon"),
        (["check", "--format", "xml", "x"], "'xml' is not one of 'text', 'json'"),
        (["check", "x", "y"], "unexpected extra argument (y)"),
        (["demo", "--for", "soon"], "'soon' is not a duration like"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(arguments: list[str], said: str) -> None:
    answer = routerd(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "--help' for help" in answer.stderr or "--config'" in answer.stderr
    assert "Traceback" not in answer.stderr


# --- completion


@pytest.mark.slow
def test_bash_completes_commands(program: Path) -> None:
    script = """
        PATH=$1:$PATH
        eval "$(_ROUTERD_COMPLETE=bash_source routerd)"
        COMP_WORDS=(routerd ch) COMP_CWORD=1
        $(complete -p routerd | sed 's/.*-F \\([^ ]*\\).*/\\1/') routerd ch routerd
        echo "${COMPREPLY[@]}"
    """
    command = ["bash", "-eu", "-c", script, "bash", str(program.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("check\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("words", ["routerd check ", "routerd --config "])
def test_files_complete_to_files(program: Path, words: str) -> None:
    env = {"_ROUTERD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "2"}
    done = subprocess.run(
        [program], env={**os.environ, **env}, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "file,\n"


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(program: Path, shell: str) -> None:
    env = {**os.environ, "_ROUTERD_COMPLETE": f"{shell}_source"}
    done = subprocess.run(
        [program], env=env, capture_output=True, text=True, timeout=30, check=True
    )
    assert f"_ROUTERD_COMPLETE={shell}_complete" in done.stdout
    assert f"{shell}_source" in routerd("--help").stdout


# --- check


@pytest.mark.slow
def test_check_prints_what_each_route_promises(write: Callable[[str], Path]) -> None:
    path = write(WORKS_ALONE)
    answer = routerd("check", path.name, folder=path.parent)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == (
        "chat\n"
        "  from     ws:/chat/{room}\n"
        "  to       group:/chat/{room}\n"
        "  promise  at most once: WebSocket, no required sink\n"
        "\n"
        "routes.toml is good: 1 route\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "used"), [(50, 50), (80, 80), (200, 100)])
def test_check_is_as_wide_as_the_terminal(
    write: Callable[[str], Path], columns: int, used: int
) -> None:
    folder = write(FIRST_TABLE).parent
    seen = on_a_terminal("check", "routes.toml", columns=columns, folder=folder, NO_COLOR="1")
    assert used - 15 < max(map(len, seen.splitlines())) <= used


@pytest.mark.slow
@pytest.mark.parametrize("table", [WORKS_ALONE, BAD])
def test_colours_are_for_people_who_want_them(write: Callable[[str], Path], table: str) -> None:
    path = write(table)
    assert "\x1b[1m" in on_a_terminal("check", path)
    assert "\x1b" not in on_a_terminal("check", path, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal("check", path, TERM="dumb")
    assert "\x1b" not in on_a_terminal("check", "--format", "json", path)
    answer = routerd("check", path)
    assert "\x1b" not in answer.stdout + answer.stderr


@pytest.mark.slow
def test_people_are_told_how_many_problems_there_are(write: Callable[[str], Path]) -> None:
    path = write(BAD.replace("from =", "form ="))
    last = on_a_terminal("--config", path, NO_COLOR="1").splitlines()[-1]
    assert last == "2 problems to mend"
    assert all(line.startswith(f"{path}:") for line in routerd("check", path).stderr.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("table", [WORKS_ALONE, BAD])
def test_a_reader_that_goes_away_is_no_traceback(write: Callable[[str], Path], table: str) -> None:
    command = [sys.executable, "-m", "routerd", "check", "--format", "json", str(write(table))]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, check=False
    )
    os.close(writing)
    assert done.stderr == ""


@pytest.mark.slow
def test_a_full_disk_is_said(write: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "routerd", "check", str(write(WORKS_ALONE))]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert (done.returncode, done.stderr) == (
        1, "Error: can't write to stdout: No space left on device\n",
    )  # fmt: skip


@pytest.mark.slow
def test_a_bad_table_is_78_though_nobody_can_be_told_why(write: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "routerd", "--config", str(write("[[route]]"))]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, timeout=30, check=False).returncode == 78
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        assert subprocess.run(command, stderr=broken, timeout=30, check=False).returncode == 78


@pytest.mark.slow
def test_names_and_texts_that_the_terminal_has_no_letters_for(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.toml")
    path.write_text(WORKS_ALONE.replace("/chat/{room}", "/計測/{room}"), encoding="utf-8")
    done = routerd("check", path.name, folder=tmp_path, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "group:/\\u8a08\\u6e2c/{room}" in done.stdout
    assert "\\udcff.toml is good: 1 route" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", [["check"], ["--config"]])
def test_what_is_no_table_is_bad_configuration(tmp_path: Path, command: list[str]) -> None:
    empty, binary = tmp_path / "empty.toml", tmp_path / "binary.toml"
    empty.touch()
    binary.write_bytes(bytes(range(256)))
    missing = tmp_path / "none.toml"
    mend = "name a file that routerd may read"
    said = {
        tmp_path: "is a directory; name the TOML file in it",
        missing: f"can't be read: No such file or directory; {mend}",
        empty / "x.toml": f"can't be read: Not a directory; {mend}",
        empty: "the file has no route; add [[route]] with `name`, `from` and `to`",
        binary: "byte 0x80 is not UTF-8; save the file as UTF-8",
        Path("/dev/null"): "the file has no route; add [[route]] with `name`, `from` and `to`",
        Path("/dev/zero"): "is over 16 MiB; a routing table is not that large, is it another file?",
    }
    for path, sentence in said.items():
        answer = routerd(*command, path)
        assert (answer.returncode, answer.stdout) == (78, "")
        assert re.fullmatch(
            rf"{re.escape(str(path))}:(\d+:)? {re.escape(sentence)}\n", answer.stderr
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
def test_in_the_journal_every_problem_has_the_level_of_an_error(
    write: Callable[[str], Path],
) -> None:
    path = write(BAD)
    plain, journal = routerd("check", path), routerd("--log-format", "journal", "--config", path)
    assert journal.stderr.splitlines() == [f"<3>{line}" for line in plain.stderr.splitlines()]


@pytest.mark.slow
def test_check_gives_its_findings_as_json_too(write: Callable[[str], Path]) -> None:
    good = json.loads(routerd("check", "--format", "json", write(WORKS_ALONE)).stdout)
    assert (good["ok"], good["routes"][0]["name"]) == (True, "chat")
    answer = routerd("check", "--format", "json", write(BAD))
    bad = json.loads(answer.stdout)
    assert (answer.returncode, bad["ok"]) == (78, False)
    assert {"line", "sentence"} == set(bad["problems"][0])


# --- the daemon


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
def test_sighup_reloads_files_and_changes_nothing_else(start_routerd: StartRouterd) -> None:
    daemon = start_routerd(WORKS_ALONE)
    before = len(daemon.log)
    daemon.signal(signal.SIGHUP)
    line = daemon.wait_event("reloaded files; the table's own reload comes with a later version")
    assert (line["taken"], line["refused"]) == (0, 0)
    assert len(daemon.log) == before + 1
    assert daemon.get("/readyz").status == 200
    assert daemon.metric("routerd_reload_last_successful") == 1
    assert daemon.stop() == 0


@pytest.mark.slow
def test_ready_says_where_it_listens(start_routerd: StartRouterd) -> None:
    daemon = start_routerd(WORKS_ALONE)
    [ready] = daemon.events("ready")
    assert ready["routes"] == 1
    assert {"ws", "admin"} <= ready.keys()
    assert daemon.ws_address[1] != 0


NOTHING_UP = """
[mqtt]
url = "mqtt://127.0.0.1:1"
client_id = "id"
[kafka]
bootstrap_servers = "127.0.0.1:1"
"""
LINES = {
    "text": r"\d{4}-\d\d-\d\dT[\d:.]+Z (DEBUG|INFO|WARNING|ERROR) +[a-z].*",
    "journal": r"<[3467]>[a-z].*",
    "json": r'\{"ts": ".*", "level": ".*", "logger": "routerd.*", "event": ".*\}',
}


@pytest.mark.slow
@pytest.mark.parametrize("log_format", [*LINES])
def test_everything_down_is_a_line_a_route_and_no_library_has_a_format_of_its_own(
    log_format: str,
) -> None:
    routes = "".join(
        f'[[route]]\nname = "r{number}"\nfrom = "mqtt:a/#"\nto = "kafka:t"\n'
        for number in range(20)
    )
    arguments = ["--log-format", log_format, "--log-level", "debug"]
    daemon = Routerd(WORKS_ALONE + NOTHING_UP + routes, arguments=arguments)
    try:
        daemon.launch()
        child = daemon.child
        assert child is not None
        expected = (
            "ready version=",
            "kafka does not confirm",
            *(f"route=r{n} " for n in range(20)),
        )
        wait_until(lambda: all(each in child.stderr for each in expected), "it says all")
        assert daemon.stop() == 0
        lines = child.stderr.splitlines()
        assert [line for line in lines if not re.fullmatch(LINES[log_format], line)] == []
        assert len([line for line in lines if "route fell" in line]) == 20
        assert len([line for line in lines if "kafka does not confirm" in line]) == 1
        assert child.stdout == ""
    finally:
        daemon.close()


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
