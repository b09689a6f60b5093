"""docs/connectors.md, done: its code, put into a copy of routerd, is a connector that works."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.config.models import ConnectionModel
from routerd.connectors.checks import CHECKS
from routerd.connectors.log.checks import LogChecks
from tests.docs_pages import ROOT, blocks, read, spans
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

pytestmark = pytest.mark.slow

PAGE = read("connectors.md")
TABLES = {"checks.py": "FileChecks", "table.py": "FileConnector"}
TABLE = """
[mqtt]
url = "{url}"
client_id = "routerd-docs"

[file]
folder = "{folder}"

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "files"
from = "mqtt:sensors/{{device}}/temperature"
to = "file:{{device}}.txt"
guarantee = "at_least_once"
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout after the page's steps."""
    folder = tmp_path_factory.mktemp("copy")
    skips = shutil.ignore_patterns("__pycache__", ".cache", ".mypy_cache")
    for name in ("routerd", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skips)
    shutil.copy(ROOT / "pyproject.toml", folder)
    connectors = folder / "routerd" / "connectors"
    (connectors / "file").mkdir()
    (connectors / "file" / "__init__.py").write_text('"""The `file` scheme: lines of files."""\n')
    for block in blocks(PAGE, "python"):
        path = block.partition("\n")[0].removeprefix("# ")
        (folder / path).write_text(block.partition("\n")[2], encoding="utf-8")
    for name, made in TABLES.items():
        _add_a_line(connectors / name, made)
    (folder / "tests" / "docs_file_case.py").rename(folder / "tests" / "test_file_case.py")
    return folder


def _add_a_line(path: Path, made: str) -> None:
    """The line that the page says, in front of the last of the table, and its import."""
    (line,) = [span for span in spans(PAGE) if span == f'"file": {made}(),']
    module = f"routerd.connectors.file.{'checks' if made.endswith('Checks') else 'connector'}"
    text = path.read_text("utf-8")
    text = text.replace("from routerd.connectors.kafka", f"from {module} import {made}\n\\g", 1)
    text = text.replace("\\g", "from routerd.connectors.kafka")
    path.write_text(re.sub(r"^    \"log\"", f'    {line}\n    "log"', text, flags=re.MULTILINE))


def run(copy: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_connector_without_a_table_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHECKS, "echo", LogChecks())
    path = tmp_path / "routes.toml"
    path.write_text(
        '[mqtt]\nurl = "mqtt://127.0.0.1"\nclient_id = "id"\n'
        '[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = "echo:x"\n'
    )

    table = load_table(path)

    assert table.connections["echo"] == ConnectionModel("echo", "log", None)
    assert not table.warnings


def test_the_code_of_the_page_is_as_all_of_ours(copy: Path) -> None:
    run(copy, "ruff", "check", "--no-cache", "routerd/connectors")
    run(copy, "ruff", "format", "--no-cache", "--check", "routerd/connectors")
    run(copy, "mypy", "routerd/connectors/file")


def test_the_connector_of_the_page_keeps_the_contracts(copy: Path) -> None:
    said = run(copy, "pytest", "-q", "tests/test_file_case.py", "tests/test_layers.py")

    assert re.search(r"\d\d passed", said)


def test_the_connector_of_the_page_works(
    copy: Path,
    tmp_path: Path,
    embedded_mqtt: EmbeddedMqtt,
    start_routerd: Callable[..., Routerd],
) -> None:
    table = TABLE.format(url=embedded_mqtt.url, folder=tmp_path)
    # What `python -m` runs is in the folder where it was started.
    routerd = start_routerd(table, prefix=["env", "-C", str(copy)])
    wait_running(routerd)
    messages = [(f"sensors/d{number % 3}/temperature", b"%d" % number) for number in range(300)]
    with Publisher(embedded_mqtt.port_311) as publisher:
        assert len(publisher.publish(messages)) == 300
    wait_until(
        lambda: routerd.metric("routerd_messages_settled_total", outcome="delivered") == 300,
        "all is in files",
    )

    checked = json.loads(
        run(copy, "routerd", "check", "--format", "json", str(routerd.config_path))
    )

    assert routerd.stop() == 0
    for device in range(3):
        lines = (tmp_path / f"d{device}.txt").read_text().split()
        assert lines == [str(number) for number in range(device, 300, 3)]
    assert f"`{checked['routes'][0]['promise']}`" in PAGE
