"""What `routerd check` prints, for programs; the text is checked with the tables themselves."""

import json
from pathlib import Path

from routerd.config.load import load_table
from routerd.config.report import render_json, render_problems, render_problems_json, render_text
from routerd.problems import Problem

TABLE = """
[mqtt]
url = "mqtt://127.0.0.1"
client_id = "id"
session_expiry = "90s"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[[route]]
name = "r"
from = "mqtt:a/{x}"
to = ["kafka:{x}", "log:é {x}"]
guarantee = "at_least_once"
[[route]]
name = "s"
from = { address = "mqtt:b", qos = 0 }
to = "log:b"
"""


def test_a_good_table_is_its_routes_and_warnings(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(TABLE, encoding="utf-8")
    table = load_table(path)

    found = json.loads(render_json(table))

    assert found["ok"] is True
    assert [warning["line"] for warning in found["warnings"]] == [5]
    first, second = found["routes"]
    assert first == {
        "name": "r",
        "line": 8,
        "from": "mqtt:a/{x}",
        "to": [
            {"address": "kafka:{x}", "required": True},
            {"address": "log:é {x}", "required": False},
        ],
        "promise": "at least once: PUBACK after kafka:{x}",
        "guarantee": "at_least_once",
        "on_error": "stop",
        "session": {"name": "id-r", "broker": "127.0.0.1:1883", "expiry_seconds": 90},
        "rests_on": first["rests_on"],
    }
    assert "max_queued_messages" in first["rests_on"][0]
    assert (second["guarantee"], second["on_error"], second["rests_on"]) == (None, "drop", [])
    assert "kept for 90s" in render_text(table)


def test_problems_are_one_line_each_with_the_file_in_front() -> None:
    problems = [Problem(0, "is empty"), Problem(3, "unknown key")]

    assert render_problems("a.toml", problems) == "a.toml: is empty\na.toml:3: unknown key"
    assert json.loads(render_problems_json("a.toml", problems)) == {
        "ok": False,
        "file": "a.toml",
        "problems": [
            {"line": 0, "sentence": "is empty"},
            {"line": 3, "sentence": "unknown key"},
        ],
    }
