"""The rig's launcher of routerd, on a daemon that needs no broker."""

import os
import signal
from collections.abc import Callable

import pytest

from tests.rig.daemon import Routerd
from tests.rig.waiting import accepts, wait_until

pytestmark = pytest.mark.slow

TABLE = """
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = "group:/chat/{room}"
"""
Start = Callable[..., Routerd]


def test_it_is_ready_on_ports_of_its_own(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    assert accepts(daemon.ws_address[1])
    assert daemon.get("/livez").status == 200
    assert daemon.wait_event("ready") == daemon.events("ready")[0]
    assert daemon.troubles() == []


def test_two_of_them_run_side_by_side(start_routerd: Start) -> None:
    first, second = start_routerd(TABLE), start_routerd(TABLE)
    assert first.ws_address != second.ws_address


def test_a_metric_is_summed_over_the_labels_that_are_not_named(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    assert daemon.metric("routerd_route_state", route="chat") == 1
    assert daemon.metric("routerd_route_state", route="chat", state="running") == 1
    assert daemon.metric("routerd_route_state", route="another") == 0


def test_stop_gives_the_exit_code(start_routerd: Start) -> None:
    assert start_routerd(TABLE).stop() == 0


def test_a_restart_reads_the_table_again_and_starts_a_log_of_its_own(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    daemon.config_path.write_text(TABLE.replace("chat", "talk"))
    daemon.restart()
    assert daemon.metric("routerd_route_state", route="talk") == 1
    assert len(daemon.events("ready")) == 1


def test_kill_is_no_orderly_end(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    daemon.kill()
    assert daemon.wait() == -signal.SIGKILL
    daemon.start()
    assert daemon.get("/livez").status == 200


def test_a_frozen_one_answers_once_it_is_thawed(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    daemon.freeze()
    with pytest.raises(TimeoutError):
        daemon.get("/livez", timeout=0.1)
    daemon.thaw()
    assert daemon.get("/livez").status == 200


def test_a_bad_table_is_an_error_of_start_that_quotes_it(start_routerd: Start) -> None:
    with pytest.raises(RuntimeError, match="did you mean"):
        start_routerd(TABLE.replace("to =", "too ="))


def test_launch_does_not_wait() -> None:
    daemon = Routerd(TABLE.replace("to =", "too ="))
    daemon.launch()
    assert daemon.wait() == 78
    daemon.close()


def test_environment_arguments_and_prefix_reach_it(start_routerd: Start) -> None:
    table = TABLE.replace('listen = "127.0.0.1:0"\n[admin]', 'listen = { env = "X" }\n[admin]')
    daemon = start_routerd(
        table,
        env={"X": "127.0.0.1:0"},
        arguments=["--log-level", "debug"],
        prefix=["nice", "-n", "1"],
    )
    assert daemon.child is not None
    assert (
        os.getpriority(os.PRIO_PROCESS, daemon.child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 1
    )


def test_a_failure_shows_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError), Routerd(TABLE):
        raise LookupError
    assert "--- log of routerd" in capfd.readouterr().err


def test_what_is_logged_later_is_waited_for(start_routerd: Start) -> None:
    daemon = start_routerd(TABLE)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: any("reload" in str(line["event"]) for line in daemon.log), "it says so")
