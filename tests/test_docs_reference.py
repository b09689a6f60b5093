"""The pages with keys against the loader: every key, type, default, limit and example in them.

Nothing here knows a key by itself but to make tables that load: what there is comes from the pages,
and from what the loader says of a table with a key that it doesn't know.
"""

import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.errors import ConfigError
from routerd.units import parse_duration, parse_size
from tests.docs_pages import read, spans, tables
from tests.entry_tokens import write_files
from tests.rig.certs import Certs

MQTT = '[mqtt]\nurl = "mqtts://127.0.0.1"\nclient_id = "id"\n'
KAFKA = '[kafka]\nbootstrap_servers = "127.0.0.1:9092"\n'
WS = '[ws]\nlisten = "127.0.0.1:0"\n'
ROUTE = '[[route]]\nname = "r"\nfrom = "mqtt:a/{device}"\nto = "kafka:t"\n'
IN_ROOM = '[[route]]\nname = "r"\nfrom = "ws:/a/{device}"\nto = "kafka:t"\nkey = "{device}"\n'
BARE = '[[route]]\nname = "r"\nfrom = { address = "mqtt:a", session = "s" }\nto = "kafka:t"\n'


@dataclass(frozen=True)
class Place:
    """Where some keys of the page stand.

    Attributes:
        lines: key -> what is written of it in the smallest table that loads.
        around: that table, with `%s` for those lines.
        glue: what is between two of them.
        beside: key -> those that it needs.
        instead: key -> the one that it takes the place of.
    """

    lines: dict[str, str]
    around: str
    glue: str = "\n"
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)

    def text(self, key: str = "", line: str = "") -> str:
        """The table with this line for the key; without it, if that is empty."""
        needs = [f'{one} = "{_FILES[one]}"' for one in self.beside.get(key, ()) if line]
        lines = {**self.lines, key: line} if key else self.lines
        lines = {
            one: text for one, text in lines.items() if not line or one != self.instead.get(key)
        }
        return self.around % self.glue.join([*filter(None, lines.values()), *needs])


_FILES = {"cert": "client.pem", "cert_key": "client.key", "algorithm": "ES256"}
"""Needed beside others; good for a server too."""

PLACES = {
    "`[mqtt]`": Place(
        {"url": 'url = "mqtts://127.0.0.1"'},
        f"[mqtt]\n%s\n{KAFKA}{BARE}",
        beside={"cert_key": ("cert",), "cert_key_password": ("cert", "cert_key")},
    ),
    "`[kafka]`": Place(
        {"bootstrap_servers": 'bootstrap_servers = "127.0.0.1:9092"'}, f"[kafka]\n%s\n{MQTT}{ROUTE}"
    ),
    "`[admin]`": Place({}, f"[admin]\n%s\n{MQTT}{KAFKA}{ROUTE}"),
    "`[daemon]`": Place({}, f"[daemon]\n%s\n{MQTT}{KAFKA}{ROUTE}"),
    "`[[route]]`": Place(
        {"name": 'name = "r"', "from": 'from = "mqtt:a/{device}"', "to": 'to = "kafka:u"'},
        f"{MQTT}{KAFKA}{WS}[[route]]\n%s\n",
    ),
    "`from = mqtt:`": Place(
        {"address": 'address = "mqtt:a/{device}"'},
        f'{MQTT}{KAFKA}[[route]]\nname = "r"\nto = "kafka:u"\nfrom = {{ %s }}\n',
        glue=", ",
    ),
    "`from = ws:`": Place(
        {"address": 'address = "ws:/a/{device}"'},
        f'{WS}{KAFKA}[[route]]\nname = "r"\nto = "kafka:u"\nfrom = {{ %s }}\n',
        glue=", ",
    ),
    "`to = kafka:`": Place(
        {"address": 'address = "kafka:u"'},
        f'{MQTT}{KAFKA}[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = {{ %s }}\n',
        glue=", ",
    ),
    "`to = group:`": Place(
        {"address": 'address = "group:/u"'},
        f'{MQTT}{WS}[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = {{ %s }}\n',
        glue=", ",
    ),
    "`to = log:`": Place(
        {"address": 'address = "log:u"'},
        f'{MQTT}[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = {{ %s }}\n',
        glue=", ",
    ),
    "`[ws]`": Place(
        {"listen": 'listen = "127.0.0.1:0"'},
        f"[ws]\n%s\n{KAFKA}{IN_ROOM}",
        beside={"cert_key": ("cert",), "cert_key_password": ("cert", "cert_key")},
    ),
    "`[ws.limits]`": Place({}, f"{WS}[ws.limits]\n%s\n{MQTT}{KAFKA}{ROUTE}"),
    "`auth`": Place(
        {"tokens": 'tokens = "other.toml"', "jwt": 'jwt = [{ jwks = "keys.json" }]'},
        f"{WS}auth = {{ %s }}\n{KAFKA}{IN_ROOM}",
        glue=", ",
    ),
    "`jwt`": Place(
        {"jwks": 'jwks = "keys.json"'},
        f"{WS}auth = {{ jwt = [{{ %s }}] }}\n{KAFKA}{IN_ROOM}",
        glue=", ",
        beside={"key": ("algorithm",)},
        instead={"key": "jwks"},
    ),
}

WRONG = {
    "text": ["5", "true", '["a"]', '""', "{ a = 1 }"],
    "string": ["5", "true", '["a"]', '""', '{ a = "b" }'],
    "texts": ["5", "true", '"a"', "[5]", '[""]'],
    "auth": ["5", '"a"', "[]", "{}"],
    "tables": ["5", '"a"', "[]", "[5]"],
    "secret": ['"open"', "5", '{ file = "missing" }'],
    "file": ['"missing.pem"', "5"],
    "listen": ['"127.0.0.1"', '"127.0.0.1:65536"', "8800"],
    "duration": ["5", '"5"', '"5 minutes"', '"5MiB"'],
    "size": ["5", '"5"', '"5s"'],
    "integer": ['"5"', "1.5", "true"],
    "flag": ['"true"', "1"],
    "choice": ['"zzz"', "5"],
    "template": ["5", '"{nowhere}"', '"{"'],
    "address": ["5", '"zzz"', '"zzz:a"'],
    "table": ["5", '"a"'],
}
"""Type of the page -> values that are of another one."""


@dataclass(frozen=True)
class Row:
    """A key of the page.

    Attributes:
        default: as TOML; empty where the page says that there is none.
        example: a whole line.
    """

    place: str
    key: str
    type: str
    default: str
    is_required: bool
    limits: str
    example: str

    def __str__(self) -> str:
        return f"{self.place.strip('`')} {self.key}"

    def text(self, value: str) -> str:
        """A table that has this value, as TOML, for the key."""
        return PLACES[self.place].text(self.key, f"{self.key} = {value}" if value else "")


def rows() -> list[Row]:
    found = []
    for one in tables("".join(map(read, ("reference.md", "websocket.md", "websocket-access.md")))):
        if "example" in one.columns:
            for cells in one.rows:
                column = next(name for name in one.columns if name.startswith("key"))
                place = cells.get("address of") or " ".join(spans_in(column)) or one.heading
                found.append(_row(place, cells[column], cells))
    return found


def spans_in(column: str) -> list[str]:
    return [f"`{span}`" for span in spans(column)]


def _row(place: str, key: str, cells: dict[str, str]) -> Row:
    default = cells["default"]
    return Row(
        place,
        key.strip("`"),
        cells["type"],
        default.strip("`") if default.startswith("`") else "",
        default == "required",
        cells["limits"],
        cells["example"].strip("`"),
    )


ROWS = rows()


@pytest.fixture
def folder(tmp_path: Path, certs: Certs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are that the examples name."""
    cert, key = certs.client.cert.read_bytes(), certs.client.key.read_bytes()
    (tmp_path / "ca.pem").write_bytes(certs.ca.read_bytes())
    (tmp_path / "client.pem").write_bytes(cert + key)
    (tmp_path / "client.key").write_bytes(key)
    (tmp_path / "server.pem").write_bytes(cert + key)
    (tmp_path / "server.key").write_bytes(key)
    (tmp_path / "secret").write_text("hunter2\n")
    write_files(tmp_path)
    for name, other in (("tokens.toml", "other.toml"), ("jwks.json", "keys.json")):
        shutil.copy(tmp_path / name, tmp_path / other)
    monkeypatch.setenv("ROUTERD_DOCS", "hunter2")
    return tmp_path


def load(folder: Path, text: str) -> Table:
    """What a table comes to, but for its lines."""
    path = folder / "routes.toml"
    path.write_text(text, encoding="utf-8")
    table = load_table(path)
    return replace(table, warnings=(), routes=tuple(replace(one, line=0) for one in table.routes))


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, text)
    return "\n".join(problem.sentence for problem in refused.value.problems)


def test_the_page_knows_every_place_where_keys_stand() -> None:
    assert list(dict.fromkeys(row.place for row in ROWS)) == list(PLACES)


@pytest.mark.parametrize("place", PLACES)
def test_the_page_has_every_key_that_the_loader_takes_and_no_other(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.findings._MOST_LISTED", 1000)

    sentence = refusal(folder, PLACES[place].text("zzzzz", "zzzzz = 1"))

    known = re.findall(r"`(\w+)`", sentence.partition("; it takes ")[2])
    assert sorted(row.key for row in ROWS if row.place == place) == known


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_example_is_taken_and_means_something(row: Row, folder: Path) -> None:
    key, _, value = row.example.partition(" = ")

    found = load(folder, row.text(value))

    assert key == row.key
    assert (found == load(folder, PLACES[row.place].text())) == row.limits.startswith("only")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_default_is_that_of_the_code(row: Row, folder: Path) -> None:
    if row.is_required:
        assert f"`{row.key}`" in refusal(folder, row.text(""))
    else:
        without = load(folder, row.text(""))
        assert not row.default or load(folder, row.text(row.default)) == without


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_value_of_another_type_is_refused(row: Row, folder: Path) -> None:
    for value in WRONG[row.type]:
        assert f"`{row.key}`" in refusal(folder, row.text(value)), value


@pytest.mark.parametrize("row", [row for row in ROWS if "` to `" in row.limits], ids=str)
def test_every_limit_is_that_of_the_code(row: Row, folder: Path) -> None:
    least, most = spans(row.limits)

    load(folder, row.text(least))
    load(folder, row.text(most))
    for value in _beyond(row.type, least.strip('"'), most.strip('"')):
        assert f"`{row.key}" in refusal(folder, row.text(value)), value


def _beyond(kind: str, least: str, most: str) -> list[str]:
    if kind == "duration":
        first = round(parse_duration(least) * 1000)
        return [f'"{parse_duration(most) + 1:.0f}s"', *([f'"{first - 1}ms"'] if first else [])]
    if kind == "size":
        return [f'"{parse_size(most) + 1}B"', f'"{parse_size(least) - 1}B"']
    return [str(int(most) + 1), str(int(least) - 1)]


@pytest.mark.parametrize("row", [row for row in ROWS if row.type == "choice"], ids=str)
def test_every_choice_is_that_of_the_code(row: Row, folder: Path) -> None:
    sentence = refusal(folder, row.text('"zzz"'))

    offered = re.findall(r'"[^"]+"', sentence.partition(" must be ")[2].partition(", not")[0])
    assert spans(row.limits) == offered


@pytest.mark.parametrize("row", [row for row in ROWS if row.limits.startswith("only")], ids=str)
def test_what_may_only_be_false_is_refused_otherwise(row: Row, folder: Path) -> None:
    assert "can't be required" in refusal(folder, row.text("true"))
