"""What `routerd check` prints, for programs; the text is checked with the tables themselves."""

import json
import re
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.config.report import render_json, render_problems, render_problems_json, render_text
from routerd.problems import Problem
from routerd.terminal import coloured

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


def load(tmp_path: Path, text: str = TABLE) -> Table:
    path = tmp_path / "routes.toml"
    path.write_text(text, encoding="utf-8")
    return load_table(path)


def test_a_good_table_is_its_routes_and_warnings(tmp_path: Path) -> None:
    table = load(tmp_path)

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
        "hints": [],
    }
    assert "max_queued_messages" in first["rests_on"][0]
    assert (second["guarantee"], second["on_error"], second["rests_on"]) == (None, "drop", [])
    assert "kept for 90s" in render_text("routes.toml", table)


def test_what_a_group_says_of_slow_members_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(
        """
[ws]
listen = "127.0.0.1:0"
[[route]]
name = "r"
from = "ws:/a"
to = ["group:/a", { address = "group:/b", slow = "drop_oldest" }]
"""
    )
    table = load_table(path)
    assert json.loads(render_json(table))["routes"][0]["to"] == [
        {"address": "group:/a", "required": False, "slow": "disconnect"},
        {"address": "group:/b", "required": False, "slow": "drop_oldest"},
    ]
    assert '\n           group:/b, slow = "drop_oldest"\n' in render_text("routes.toml", table)


def test_each_route_is_a_block_with_an_address_a_line(tmp_path: Path) -> None:
    first, *_ = render_text("routes.toml", load(tmp_path)).split("\n\n")
    assert first.splitlines() == [
        "r",
        "  from     mqtt:a/{x}",
        "  to       kafka:{x}",
        "           log:é {x}",
        "  promise  at least once: PUBACK after kafka:{x}",
        "  session  id-r at 127.0.0.1:1883, kept for 90s",
    ]


def test_what_promises_rest_on_and_warnings_come_last_with_their_lines(tmp_path: Path) -> None:
    *_, notes, verdict = render_text("routes.toml", load(tmp_path)).split("\n\n")
    heads = [line[:45] for line in notes.splitlines() if not line.startswith("    ")]
    assert heads == [
        "routes.toml:8: rests on: the broker keeps the",
        "routes.toml:8: rests on: publishers use QoS 1",
        "routes.toml:5: warning: `session_expiry` of [",
    ]
    assert verdict == "routes.toml is good: 2 routes and 1 warning"


def test_how_routes_could_promise_more_is_said_once_for_all_of_them(tmp_path: Path) -> None:
    route = '[[route]]\nname = "{0}"\nfrom = "ws:/{0}"\nto = "kafka:{0}"\n'
    head = '[ws]\nlisten = "127.0.0.1:0"\n[kafka]\nbootstrap_servers = "127.0.0.1:9092"\n'
    table = load(tmp_path, head + route.format("a") + route.format("b"))
    *_, notes, _ = render_text("routes.toml", table, columns=1000).split("\n\n")
    assert notes.startswith("routes.toml:5: hint: a client that speaks routerd.ack.v1 is told")
    assert notes.endswith("at least once (`a` and `b`)")
    hints = [one["hints"] for one in json.loads(render_json(table))["routes"]]
    assert hints[0] == hints[1] != []


@pytest.mark.parametrize("columns", [40, 71, 100])
def test_lines_fit_and_addresses_are_whole(tmp_path: Path, columns: int) -> None:
    long = "sensors/" + "/".join(f"level-{number}" for number in range(30))
    fits = "kafka:" + "t" * (columns - 17)
    text = TABLE.replace("mqtt:b", f"mqtt:{long}").replace('to = "log:b"', f'to = ["{fits}"]')
    found = render_text("routes.toml", load(tmp_path, text), columns=columns)
    assert max(map(len, found.splitlines())) <= columns
    assert fits in found
    assert f"mqtt:{long}" in found.replace("\n           ", "")


def test_colours_change_nothing_but_the_colours(tmp_path: Path) -> None:
    table = load(tmp_path)
    painted = render_text("routes.toml", table, paint=coloured)
    assert re.sub(r"\x1b\[\d+m", "", painted) == render_text("routes.toml", table)
    assert "\x1b[1mr\x1b[0m\n" in painted
    assert "  promise  \x1b[32mat least once\x1b[0m: PUBACK" in painted
    assert "  promise  \x1b[33mat most once\x1b[0m: " in painted
    assert "\x1b[1mroutes.toml:5:\x1b[0m \x1b[33mwarning:\x1b[0m `session" in painted


def test_nothing_of_a_table_acts_on_the_terminal(tmp_path: Path) -> None:
    text = TABLE.replace('"log:b"', '"log:\\u001b[31mb\\u202e"')
    found = render_text("a\nb\x1b.toml", load(tmp_path, text))
    assert "\x1b" not in found
    assert "log:\\x1b[31mb\\u202e" in found
    assert "a\\nb\\x1b.toml:5: warning" in found
    assert render_problems("\x1b.toml", [Problem(1, "x")]) == "\\x1b.toml:1: x"


def test_json_is_ascii_whatever_the_file_is_called() -> None:
    found = render_problems_json("\udcffé.toml", [Problem(1, "é")])
    assert found.isascii()
    assert json.loads(found)["file"] == "\udcffé.toml"


def test_problems_are_one_line_each_with_the_file_in_front() -> None:
    problems = [Problem(0, "is empty"), Problem(3, "unknown key")]

    assert render_problems("a.toml", problems) == "a.toml: is empty\na.toml:3: unknown key"
    assert render_problems("a.toml", problems[1:], paint=coloured) == (
        "\x1b[1ma.toml:3:\x1b[0m unknown key"
    )
    assert json.loads(render_problems_json("a.toml", problems)) == {
        "ok": False,
        "file": "a.toml",
        "problems": [
            {"line": 0, "sentence": "is empty"},
            {"line": 3, "sentence": "unknown key"},
        ],
    }
