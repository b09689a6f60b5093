"""The tables of connections: `[mqtt]`, `[kafka.audit]`, and which ports they share."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from routerd.checks import Checks
from routerd.config.models import ConnectionModel
from routerd.connectors.checks import CHECKS
from routerd.findings import did_you_mean, nearest, quoted
from routerd.section import Section

NAME = re.compile(r"[A-Za-z0-9_-]+")

BY_TABLE: Mapping[str, Checks] = {
    checks.table: checks for checks in CHECKS.values() if checks.table is not None
}
"""Which connector a table belongs to."""
TABLES = (*BY_TABLE, "admin", "daemon", "route")
"""Every name that a table of the file may have."""


@dataclass(frozen=True)
class Connections:
    """What the file says of connections.

    Attributes:
        models: those that can be opened.
        written: the keys of all that the file has, also of those with problems.
        misspelt: the tables that the file doesn't have, because of a slip in their names.
    """

    models: Mapping[str, ConnectionModel]
    written: frozenset[str]
    misspelt: frozenset[str]

    def settings(self, key: str) -> object | None:
        """What a connection's checks made of it; None if it is wrong or missing."""
        model = self.models.get(key)
        return None if model is None else model.settings


def read_connections(root: Section) -> Connections:
    """Every connection of the file, and those that need no table, as the log."""
    models = {
        scheme: ConnectionModel(scheme, checks.connector, None)
        for scheme, checks in CHECKS.items()
        if checks.table is None
    }
    written = set(models)
    for table, checks in BY_TABLE.items():
        if table in root and not isinstance(root.values[table], Mapping):
            written.add(table)
        for key, section in _tables_of(root, table, checks):
            written.add(key)
            settings = checks.connection(key, section)
            if settings is not None:
                models[key] = ConnectionModel(key, checks.connector, settings)
    return Connections(models, frozenset(written), _misspelt(root))


def _misspelt(root: Section) -> frozenset[str]:
    tables = (key for key, value in root.values.items() if isinstance(value, Mapping))
    strange = [name for name in tables if name not in TABLES]
    return frozenset(
        table for table in BY_TABLE if any(_is_meant(root, name, table) for name in strange)
    )


def _is_meant(root: Section, name: str, table: str) -> bool:
    """Whether `finish` will say that this table should have that name."""
    hint = root.hints.get(name.lower())
    return nearest(name, TABLES) == table if hint is None else hint.endswith(f" is [{table}]")


def _tables_of(root: Section, table: str, checks: Checks) -> Iterator[tuple[str, Section]]:
    """The default connection and the named ones.

    A table inside is a connection if its name is no key, and says its own main key.
    """
    whole = root.section(table)
    if whole is None:
        return
    named = {
        name: value
        for name, value in whole.values.items()
        if isinstance(value, Mapping)
        and name not in checks.keys
        and not _is_main_key(checks, name, value)
    }
    main_key = checks.main_key.split(" ")[0]
    own = {key: value for key, value in whole.values.items() if key not in named}
    if own or not named:
        section = root.inner(own, table, label=f"[{table}]")
        section.takes_references = True
        yield table, section
    for name, value in named.items():
        label = f"[{table}.{quoted(name)[1:-1]}]"
        section = root.inner(value, table, name, label=label)
        section.takes_references = True
        meant = did_you_mean(name, checks.keys)
        if main_key not in value and meant:
            section.problem(
                None,
                f"[{table}] has no key `{quoted(name)[1:-1]}`{meant} (a connection of that name "
                f"would need its own `{main_key}`)",
            )
        elif not NAME.fullmatch(name):
            section.problem(
                None,
                f"{label}: the name of a connection is letters, digits, `_` and `-`; rename it",
            )
        else:
            yield f"{table}.{name}", section


def _is_main_key(checks: Checks, name: str, value: Mapping[str, object]) -> bool:
    """Whether what TOML made a table, `bootstrap.servers = ""`, is the table's own main key."""
    main_key = checks.main_key.split(" ")[0]
    return main_key not in value and nearest(name, checks.keys) == main_key


def listens_on(model: ConnectionModel) -> tuple[str, int] | None:
    """Host and port that a connection binds, if it does."""
    checks = checks_of(model)
    return None if checks is None else checks.listens_on(model.settings)


def checks_of(model: ConnectionModel) -> Checks | None:
    """Those that read its table; None for one that has none."""
    found = (checks for checks in BY_TABLE.values() if checks.connector == model.connector)
    return next(found, None)
