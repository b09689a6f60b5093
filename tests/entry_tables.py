"""Tables that say who may come in, for tests, read as the daemon reads them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from routerd.config.load import load_table
from routerd.connectors.websocket.entry.settings import EntrySettings

if TYPE_CHECKING:
    from routerd.connectors.websocket.settings import ListenerSettings

ROUTES = """
[[route]]
name = "r"
from = ["ws:/echo", "ws:/echo/+"]
to = "log:x"
[[route]]
name = "s"
from = "ws:/echo/{room}"
to = "group:/echo/{room}"
"""


def entry_of(table: str, *, folder: Path | None = None) -> EntrySettings:
    """What a table says whose `[ws]` has these lines.

    Args:
        table: behind `listen`; more tables may follow.
        folder: where its files are.
    """
    with TemporaryDirectory() as elsewhere:
        path = (folder or Path(elsewhere)) / "routes.toml"
        path.write_text(f'[ws]\nlisten = "127.0.0.1:0"\n{table}\n{ROUTES}', "utf-8")
        return cast("ListenerSettings", load_table(path).connections["ws"].settings).entry
