"""Keys of a route that were written behind the header of a table inside it.

TOML has no way back: what follows `[route.body]` belongs to the body, however it is indented.
"""

from collections.abc import Iterable, Mapping

from routerd.section import Section

_KEYS = ("name", "from", "to")
_TABLES = ("body", "when", "headers")


class Misplaced:
    """What a route lacks, and has in a table inside it."""

    def __init__(self, route: Section) -> None:
        self._route = route
        self._table_of: dict[str, str] = {}
        for key in _KEYS:
            for table in _TABLES:
                values = route.values.get(table)
                if key not in route and isinstance(values, Mapping) and key in values:
                    self._table_of.setdefault(key, table)

    def mend(self, key: str) -> str:
        """Where the key stands instead, and what to do; empty if it stands nowhere."""
        table = self._table_of.get(key)
        if table is None:
            return ""
        line = self._route.findings.line_of((*self._route.path, table, key))
        return (
            f"; line {line} puts one into `{table}`: write it above [route.{table}], since all "
            "that follows such a header belongs to it"
        )

    def warn_of_doubtful(self, keys: Iterable[str]) -> None:
        """Says which fields and headers have the name of a key that the route doesn't have.

        In a table in braces nothing gets there by mistake.
        """
        line_of = self._route.findings.line_of
        for table in ("body", "headers"):
            path = (*self._route.path, table)
            values = self._route.values.get(table)
            for key in keys:
                if key in self._route or not isinstance(values, Mapping) or key not in values:
                    continue
                if line_of((*path, key)) > line_of(path) and key not in self.keys(table):
                    self._route.findings.warn(
                        (*path, key),
                        f"this line puts `{key}` into `{table}` of {self._route.label}; if it is "
                        f"meant for the route, move it above [route.{table}]",
                    )

    def keys(self, table: str) -> frozenset[str]:
        """What stands in this table by mistake."""
        return frozenset(key for key, found in self._table_of.items() if found == table)
