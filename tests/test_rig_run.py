"""`tests/run` on machines where it can't install what is missing, played by a PATH of our own."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TOOLS = ("cat", "cmp", "dirname", "mkdir", "sed", "sha256sum")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `tests/run` where programs answer with the lines given, and there are no others."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))

    def run_it(*arguments: str, **programs: Sequence[str]) -> subprocess.CompletedProcess[str]:
        for name, lines in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
            program.chmod(0o755)
        return subprocess.run(
            [str(shutil.which("bash")), str(PROJECT / "tests" / "run"), *arguments],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run_it


def test_without_root_it_says_in_a_line_what_is_missing_and_how_to_get_it(run: Run) -> None:
    done = run("install", python3=["exit 0"], apt_get=["exit 1"], id=["echo 1000"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "only root may install" in done.stderr
    assert "sudo apt-get install" in done.stderr
    assert "default-jre-headless" in done.stderr
    assert "tests/run --embedded" in done.stderr


def test_without_apt_it_says_so(run: Run) -> None:
    done = run("install", python3=["exit 0"], id=["echo 0"])
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no apt-get" in done.stderr


def test_the_embedded_tests_ask_for_no_more_than_python(run: Run) -> None:
    done = run("--embedded", python3=["exit 1"], apt_get=["exit 1"], id=["echo 1000"])
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "missing: python3-venv, and only root" in done.stderr
    assert "--embedded" not in done.stderr


def test_an_installation_that_fails_is_quoted(run: Run) -> None:
    apt = ['[ "$1" = update ] || { echo "E: no such package" >&2; exit 100; }']
    done = run("install", python3=["exit 0"], apt_get=apt, id=["echo 0"], tail=["cat $3"])
    assert done.returncode == 1
    assert "E: no such package" in done.stderr


def test_what_it_does_not_know_is_answered_with_what_it_does(run: Run) -> None:
    done = run("tset")
    assert done.returncode == 2
    assert "tests/run test [ARGS]" in done.stderr
    assert run("--help").stdout == done.stderr
