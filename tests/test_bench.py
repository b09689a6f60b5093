"""The benchmark works; what it comes to is for `tests/bench/run` to say."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_quick_benchmark_of_groups_prints_rows_that_are_complete() -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--only", "fanout"]
    project = Path(__file__).parent.parent
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[-2].strip() for row in rows] == ["1/1"] * 4, done.stdout
