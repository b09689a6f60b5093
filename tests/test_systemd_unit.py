"""The unit file as systemd judges it. The service that it makes is in `test_systemd_readme.py`."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

PROJECT = Path(__file__).parent.parent
UNIT = PROJECT / "systemd" / "routerd.service"
DebianProgram = Callable[[str], str]
FORBIDS_WRITABLE_CODE = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
assert ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0, "old kernel"
os.execv(sys.argv[1], sys.argv[1:])
"""
TABLE = """
[mqtt]
url = "{mqtt}"
client_id = "plant"
[kafka]
bootstrap_servers = "{kafka}"
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "telemetry"
from = "mqtt:sensors/{{device}}"
to = ["kafka:telemetry", "group:/live/{{device}}"]
"""


def test_the_unit_exposes_next_to_nothing(debian_program: DebianProgram) -> None:
    command = [debian_program("systemd-analyze"), "security", "--offline=true", "--no-pager"]
    shown = subprocess.run([*command, str(UNIT)], check=True, capture_output=True, text=True)
    score = re.search(r"Overall exposure level for routerd.service: ([\d.]+)", shown.stdout)
    assert score is not None
    assert float(score[1]) <= 1.2


def test_systemd_has_nothing_to_say_against_the_unit(
    debian_program: DebianProgram, tmp_path: Path
) -> None:
    copy = tmp_path / "routerd.service"
    copy.write_text(UNIT.read_text().replace("/opt/routerd/bin/routerd", "/bin/true"))
    command = [debian_program("systemd-analyze"), "verify", str(copy)]
    verified = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_a_reload_is_what_the_daemon_takes_for_one() -> None:
    [command] = re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert command == "/bin/kill -HUP $MAINPID"


def test_what_is_forbidden_to_memory_is_not_needed(
    mosquitto: Mosquitto, mockkafka: MockKafka, start_routerd: Callable[..., Routerd]
) -> None:
    """`MemoryDenyWriteExecute`, as the kernel has it since 6.3."""
    mockkafka.create_topic("telemetry", 1)
    routerd = start_routerd(
        TABLE.format(mqtt=mosquitto.url, kafka=mockkafka.bootstrap),
        prefix=[sys.executable, "-c", FORBIDS_WRITABLE_CODE],
    )
    wait_until(lambda: routerd.get("/readyz").status == 200, "its route runs")
    with Publisher(mosquitto.port) as publisher:
        assert len(publisher.publish([("sensors/7", b"1")])) == 1
    mockkafka.records.wait_until_count("telemetry", 1)
    assert routerd.stop() == 0
