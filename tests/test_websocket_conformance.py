"""The Autobahn cases against routerd as it comes: `kosoku` drives them, in a process of its own.

9.* are messages of up to 16 MiB in up to 65,536 fragments, or a thousand of them. With limits that
let them in all pass. By default a message ends at 1 MiB in 1024 fragments: 30 of the 54 pass, and
the others are answered with 1009. 12.* and 13.* are compression, which is not offered.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd

pytestmark = pytest.mark.slow

TABLE = """
[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000 }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "echo"
from = "ws:/echo"
to = "reply:"
"""
TOO_BIG = 1009
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""What Autobahn itself calls passed; the last is for what RFC 6455 leaves open."""
UNANSWERED = {"3.2", "3.3", "3.4", "5.15", *(f"4.{n}.{m}" for n in (1, 2) for m in (3, 4, 5))}
"""Cases that send a good message and at once an offence: our close may overtake the answer."""

Cases = dict[str, dict[str, object]]


def run_cases(routerd: Routerd, folder: Path, *selection: str) -> Cases:
    """Autobahn's report: case -> what became of it."""
    host, port = routerd.ws_address
    program = [sys.executable, "-c", "from kosoku._cli import main; main()"]
    options = ["--outdir", str(folder), "--parallelism", "8", *selection]
    subprocess.run(
        [*program, f"ws://{host}:{port}/echo", *options],
        timeout=120,
        capture_output=True,
        check=False,  # 1 if a case failed, which is judged here
    )
    (cases,) = json.loads((folder / "index.json").read_text()).values()
    found: Cases = cases
    return found


def failed(cases: Cases) -> Cases:
    return {
        case: result
        for case, result in cases.items()
        if not {result["behavior"], result["behaviorClose"]} <= PASSED
    }


def test_no_autobahn_case_fails(start_routerd: Callable[..., Routerd], tmp_path: Path) -> None:
    routerd = start_routerd(TABLE)
    wait_running(routerd)
    cases = run_cases(routerd, tmp_path, *(f"--exclude={part}.*" for part in (9, 12, 13)))
    assert failed(cases) == {}
    assert len(cases) == 247
    lenient = {case for case, result in cases.items() if result["behavior"] == "NON-STRICT"}
    assert lenient - UNANSWERED == set()
    assert routerd.troubles() == []


def test_no_autobahn_case_with_large_messages_fails_if_the_table_lets_them_in(
    start_routerd: Callable[..., Routerd], tmp_path: Path
) -> None:
    more = 'limits = { max_message = "16MiB", max_fragments = 65_536, '
    routerd = start_routerd(TABLE.replace("limits = { ", more))
    wait_running(routerd)
    cases = run_cases(routerd, tmp_path, "--include=9.*")
    assert failed(cases) == {}
    assert len(cases) == 54
    assert routerd.troubles() == []


def test_autobahns_messages_that_are_beyond_our_limits_are_too_big(
    start_routerd: Callable[..., Routerd], tmp_path: Path
) -> None:
    routerd = start_routerd(TABLE)
    wait_running(routerd)
    cases = run_cases(routerd, tmp_path, "--include=9.1.*", "--include=9.3.1")
    beyond = failed(cases)
    assert set(beyond) == {"9.1.4", "9.1.5", "9.1.6", "9.3.1"}
    assert {result["remoteCloseCode"] for result in beyond.values()} == {TOO_BIG}
    assert routerd.troubles() == []
