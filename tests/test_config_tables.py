"""Routing tables as data, and at their ends, in comments, what is said of them.

`*.bad.toml` have every problem with its line, `*.good.toml` what `routerd check` prints.
"""

import re
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.config.report import render_text
from routerd.errors import ConfigError
from routerd.terminal import MOST_COLUMNS

FOLDER = Path(__file__).parent / "config"
CANARY = "CANARY"
"""What every secret of these tables is; no sentence may show it."""


def tables(kind: str) -> list[Path]:
    return sorted(FOLDER.glob(f"*.{kind}.toml"))


def named(path: Path) -> str:
    return path.name.split(".")[0]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_TEST_PASSWORD", CANARY)
    monkeypatch.setenv("ROUTERD_TEST_URL", "mqtt://127.0.0.1:1999")
    monkeypatch.setenv("ROUTERD_TEST_URL_PORT", f"mqtt://127.0.0.1:{CANARY}")
    monkeypatch.setenv("ROUTERD_TEST_NUMBER", "5x")
    monkeypatch.delenv("ROUTERD_TEST_UNSET", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def comments(path: Path, sign: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [re.sub(sign, "", line, count=1) for line in lines if re.match(sign, line)]


def is_as_expected(found: str, expected: str) -> bool:
    """Whether they are the same; `<any>` stands for what differs between machines."""
    return re.fullmatch(re.escape(expected).replace("<any>", ".*"), found) is not None


@pytest.mark.parametrize("path", tables("bad"), ids=named)
def test_a_bad_table_is_refused_with_every_problem_and_its_line(path: Path) -> None:
    expected = comments(path, r"# (?=\d+: )")

    with pytest.raises(ConfigError) as refused:
        load_table(path)

    found = [f"{problem.line}: {problem.sentence}" for problem in refused.value.problems]
    assert len(found) == len(expected), found
    for one, wanted in zip(found, expected, strict=True):
        assert is_as_expected(one, wanted), one
    assert CANARY not in "".join(found)


@pytest.mark.parametrize("path", tables("good"), ids=named)
def test_a_good_table_loads_and_says_what_it_promises(path: Path) -> None:
    expected = comments(path, r"#\| ?")

    found = render_text("routes.toml", load_table(path)).splitlines()

    assert found == expected
    assert max(map(len, found)) <= MOST_COLUMNS
    assert CANARY not in "".join(found)


def test_every_table_says_what_is_expected_of_it() -> None:
    assert len(tables("bad")) >= 60
    assert all(comments(path, r"# (?=\d+: )") for path in tables("bad"))
    assert all(comments(path, r"#\| ?") for path in tables("good"))
