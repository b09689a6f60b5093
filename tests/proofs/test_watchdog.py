"""A loop that hangs is killed and started again by its service manager, and loses nothing."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.history import judge, some_readings
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.service_manager import ServiceManager

StartRouterd = Callable[..., Routerd]

STALLING = """
import signal, sys, time
from routerd.cli import main
# A Python signal handler runs in the main thread, which is the event loop's: it stalls that
# alone, as a bug of ours would, and every other thread lives on.
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
main()
"""
HALF = 1000


@pytest.fixture
def prefix(tmp_path: Path) -> list[str]:
    """Runs routerd's own arguments in a process whose event loop SIGUSR1 stalls."""
    program = tmp_path / "stalling.py"
    program.write_text(STALLING)
    # What follows in argv is `python -m routerd ...`: those three words are left out.
    starter = "import runpy, sys; sys.argv[:5] = [sys.argv[1]]; runpy.run_path(sys.argv[0])"
    return [sys.executable, "-c", starter, str(program)]


@pytest.mark.parametrize("stall", [signal.SIGUSR1, signal.SIGSTOP])
def test_a_stalled_loop_is_seen_killed_and_loses_nothing(
    stall: signal.Signals,
    prefix: list[str],
    mosquitto: Mosquitto,
    mockkafka: MockKafka,
    start_routerd: StartRouterd,
) -> None:
    mockkafka.create_topic("telemetry", 4)
    messages = some_readings(2 * HALF)
    table = head(mosquitto.url, mockkafka.bootstrap) + telemetry('"kafka:telemetry"')
    with ServiceManager(watchdog_seconds=2) as manager, Publisher(mosquitto.port) as publisher:
        routerd = start_routerd(table, env=manager.env, prefix=prefix)
        wait_running(routerd)
        manager.wait_for("WATCHDOG=1", count=3)
        assert len(publisher.publish(messages[:HALF])) == HALF
        routerd.signal(stall)
        assert len(publisher.publish(messages[HALF:])) == HALF
        manager.wait_watchdog()
        routerd.signal(signal.SIGABRT)  # as systemd does
        routerd.signal(signal.SIGCONT)
        assert routerd.wait() == -signal.SIGABRT
        routerd.start()
        manager.wait_for("READY=1", count=2)
        mockkafka.records.wait_until_count("telemetry", 2 * HALF)
        assert routerd.stop() == 0
    verdict = judge(messages, mockkafka.records.read("telemetry"))
    assert (verdict.lost, verdict.inversions, verdict.strangers) == ([], 0, 0)
