"""The command line of `tests/bench/run`."""

import argparse
import os
import resource
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from confluent_kafka import KafkaException

from tests.bench import fanout, idle, inbound, latency, to_kafka
from tests.bench.cases import FULL, QUICK, Case, Scale, Suite
from tests.bench.figures import Row, Run
from tests.bench.table import rows_as_text, targets_as_text
from tests.bench.targets import TARGETS

SUITES: dict[str, Suite] = {
    "mock": to_kafka.mock,
    "kafka": to_kafka.real,
    "firehose": to_kafka.firehose,
    "fanout": fanout.suite,
    "inbound": inbound.suite,
    "idle": idle.suite,
    "latency": latency.suite,
}
_MOST_FILES = 20_000
_TROUBLE = 160
"""Characters told of what went wrong; the end says most, when it is a program's log."""


def main() -> None:
    """Measures what is asked for and prints it."""
    asked = _parse()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MOST_FILES), hard))
    scale = QUICK if asked.quick else FULL
    began, load_before = time.monotonic(), os.getloadavg()[0]
    rows = [
        row
        for name, suite in SUITES.items()
        if name in (asked.only or SUITES)
        for row in _run_suite(name, suite, scale)
    ]
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"{rows_as_text(rows)}\n\n{targets_as_text(TARGETS, rows)}\n\n")
    machine = f"{os.cpu_count()} cores of {_processor()}, load before it {load_before:.1f}"
    sys.stdout.write(f"{minutes:.1f} minutes on {machine}\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [
        value for name, _, value in (line.partition(": ") for line in lines) if "model name" in name
    ]
    return models[0] if models else "an unknown kind"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/bench/run", description=main.__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short run of each: does it work, no figures"
    )
    parser.add_argument(
        "--only", action="append", choices=SUITES, help="this suite alone; may be repeated"
    )
    return parser.parse_args()


def _run_suite(name: str, suite: Suite, scale: Scale) -> list[Row]:
    """Every case once, then every case again: what the machine does meanwhile hits all alike."""
    with ExitStack() as stack:
        try:
            cases = suite(stack, scale)
        except (OSError, RuntimeError) as exc:
            return [Row(name, "", [_failed(exc)])]
        rows = [Row(case.scenario, case.subject) for case in cases]
        for number in range(scale.runs):
            pairs = list(zip(cases, rows, strict=True))
            for case, row in pairs if number % 2 == 0 else reversed(pairs):
                row.runs.append(_run_case(case))
                sys.stderr.write(f"{number + 1}/{scale.runs} {_told(row)}\n")
    return rows


def _run_case(case: Case) -> Run:
    try:
        return case.measure()
    except (OSError, RuntimeError, KafkaException) as exc:  # a TimeoutError is an OSError
        return _failed(exc)


def _failed(exc: Exception) -> Run:
    return Run(trouble=" ".join(str(exc).split())[-_TROUBLE:])


def _told(row: Row) -> str:
    run = row.runs[-1]
    figures = {"/s": run.rate, "us": run.cpu_us, "ms p99": run.p99_ms}
    told = ", ".join(f"{value:,.1f} {unit}" for unit, value in figures.items() if value is not None)
    return f"{row.scenario}, {row.subject}: {run.trouble or told} {run.arrived:,} arrived"


main()
