"""The unit file as systemd judges it, and the README's way from a checkout to a running service."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

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
{login}
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
# What the README's commands find: no real sudo or systemd, and folders of their own.
HOUSE = """
set -eu
house=$1
mount -t tmpfs none "$house"
mkdir "$house/etc" "$house/work" "$house/bin" "$house/state"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$house/etc,workdir=$house/work" /etc
mount -t tmpfs none /opt
printf '#!/bin/sh\\nexec "$@"\\n' >"$house/bin/sudo"
printf '#!/bin/sh\\nexec %s %s "$@"\\n' "$PYTHON" "$SYSTEMCTL" >"$house/bin/systemctl"
printf '#!/bin/sh\\ncat "%s/state/journal"\\n' "$house" >"$house/bin/journalctl"
chmod +x "$house"/bin/*
PATH=$house/bin:$PATH SYSTEMCTL_STATE=$house/state sh -eu "$2"
cat "$house/state/routerd" >"$3"
"""


def readme_commands() -> str:
    """All commands of the README's section on systemd."""
    text = (PROJECT / "README.md").read_text()
    section = text.partition("## As a systemd service")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    return "".join(blocks)


def checkout(folder: Path) -> Path:
    """What git knows of the project, or will."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=PROJECT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    folder.mkdir()
    subprocess.run(
        ["tar", "--null", "--files-from=-", "--ignore-failed-read", "-cf", str(folder / "all.tar")],
        cwd=PROJECT, check=True, input=names, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(["tar", "-xf", "all.tar"], cwd=folder, check=True)
    return folder


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


def test_what_is_forbidden_to_memory_is_not_needed(
    mosquitto: Mosquitto, mockkafka: MockKafka, start_routerd: Callable[..., Routerd]
) -> None:
    """`MemoryDenyWriteExecute`, as the kernel has it since 6.3."""
    mockkafka.create_topic("telemetry", 1)
    routerd = start_routerd(
        TABLE.format(mqtt=mosquitto.url, kafka=mockkafka.bootstrap, login=""),
        prefix=[sys.executable, "-c", FORBIDS_WRITABLE_CODE],
    )
    wait_until(lambda: routerd.get("/readyz").status == 200, "its route runs")
    with Publisher(mosquitto.port) as publisher:
        assert len(publisher.publish([("sensors/7", b"1")])) == 1
    mockkafka.records.wait_until_count("telemetry", 1)
    assert routerd.stop() == 0


@pytest.mark.debian
def test_the_readme_leads_from_a_checkout_to_a_running_service(
    start_mosquitto: Callable[..., Mosquitto],
    mockkafka: MockKafka,
    debian_program: DebianProgram,
    tmp_path: Path,
) -> None:
    assert debian_program("systemd-analyze")
    assert os.geteuid() == 0, "mounting takes root"
    mosquitto = start_mosquitto(users={"routerd": "a secret"})
    mockkafka.create_topic("telemetry", 1)
    project = checkout(tmp_path / "project")
    login = 'username = "routerd"\npassword = { credential = "mqtt" }'
    table = TABLE.format(mqtt=mosquitto.url, kafka=mockkafka.bootstrap, login=login)
    (project / "routes.toml").write_text(table)
    commands = tmp_path / "commands"
    typed = "sudo install -D -m 0600 /dev/stdin /etc/routerd/credentials/mqtt "
    assert typed in readme_commands()
    commands.write_text(readme_commands().replace(typed, f"echo 'a secret' | {typed}"))
    (tmp_path / "house").mkdir()
    facts = tmp_path / "facts"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", HOUSE, "sh", tmp_path / "house", commands, facts],
        cwd=project, check=False, capture_output=True, text=True, timeout=300,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "SYSTEMCTL": str(PROJECT / "tests" / "rig" / "systemctl.py"),
        },
    )  # fmt: skip
    assert done.returncode == 0, textwrap.indent(done.stdout + done.stderr, "| ")
    service = json.loads(facts.read_text())
    try:
        assert service["status"] == "1 of 1 routes run"
        with Publisher(mosquitto.port, login=("routerd", "a secret")) as publisher:
            assert len(publisher.publish([("sensors/7", b"1")])) == 1
        mockkafka.records.wait_until_count("telemetry", 1)
    finally:
        os.kill(service["pid"], signal.SIGTERM)
    assert not Path("/etc/routerd").exists()
