"""What `conftest.py` does to tests: markers that nobody has to remember, the quick ones first."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.rig.mosquitto import Mosquitto

PROJECT = Path(__file__).parent.parent
TESTS = """
import pytest
def test_of_kafka(kafka): ...
def test_of_both(start_mosquitto, start_kafka): ...
def test_of_mosquitto(mosquitto): ...
@pytest.mark.slow
def test_slow(): ...
def test_quick(): ...
"""


@pytest.fixture
def chosen(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    """The names of the tests that pytest would run with the marks of the test's parameter."""
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--collect-only", "-q"]
    command += ["-c", str(PROJECT / "pyproject.toml"), "-o", f"cache_dir={tmp_path}"]
    done = subprocess.run(
        [*command, "-m", request.param, str(file)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [line.rpartition("::test_")[2] for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", ["quick", "slow", "of_mosquitto", "of_kafka", "of_both"]),
        ("not mosquitto and not kafka", ["quick", "slow"]),
        ("not slow", ["quick"]),
        ("mosquitto and kafka", ["of_both"]),
    ],
    indirect=["chosen"],
)
def test_marks_and_order_come_from_what_a_test_asks_for(
    chosen: list[str], expected: list[str]
) -> None:
    assert chosen == expected


def test_a_fixture_that_rests_on_mosquitto_marks_its_test(
    mosquitto: Mosquitto, request: pytest.FixtureRequest
) -> None:
    assert mosquitto.url.startswith("mqtt://127.0.0.1:")
    assert {mark.name for mark in request.node.iter_markers()} == {"mosquitto", "slow"}


def test_a_browser_runs_javascript(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<p onclick='this.textContent = 6 * 7'>?</p>")
    page.click("p")
    assert page.inner_text("p") == "42"
    page.close()


def test_a_program_that_is_missing_is_named(debian_program: Callable[[str], str]) -> None:
    assert debian_program("chromium").endswith("/chromium")
    with pytest.raises(FileNotFoundError, match="no-such-program is not installed"):
        debian_program("no-such-program")
