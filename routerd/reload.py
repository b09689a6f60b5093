"""SIGHUP: what connections read from files beside the table is read again.

Keys, tokens and certificates, that is; each that is bad is refused, and the old one stays. The
table itself is not read again here.
"""

import logging
import time
from collections.abc import Mapping

import trio

from routerd.interfaces import Connection, Reloaded
from routerd.status import DaemonStatus

logger = logging.getLogger(__name__)


class Reloads:
    """Who asks for a reload, and the one who does it. Asked again while one runs: once more."""

    def __init__(self) -> None:
        self._asked = trio.Event()

    def ask(self) -> None:
        """There will be a reload that begins from now on. Never blocks."""
        self._asked.set()

    async def serve(self, connections: Mapping[str, Connection], status: DaemonStatus) -> None:
        """Reloads whenever it is asked for, one after another, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            await reload(connections, status)


async def reload(connections: Mapping[str, Connection], status: DaemonStatus) -> None:
    """Has every connection read its files again, and says what became of it. Never raises."""
    began = trio.current_time()
    done = [await _reload_one(key, connection) for key, connection in connections.items()]
    refused = [sentence for one in done for sentence in one.refused]
    for sentence in refused:
        logger.error("reload refused, what was there stays error=%r", sentence)
    status.is_reloaded = not refused
    if status.is_reloaded:
        status.reloaded_at = time.time()
    logger.info(
        "reloaded files; the table's own reload comes with a later version "
        "taken=%d refused=%d seconds=%.3f",
        sum(one.taken for one in done),
        len(refused),
        trio.current_time() - began,
    )


async def _reload_one(key: str, connection: Connection) -> Reloaded:
    try:
        return await connection.reload()
    except Exception:
        logger.exception("bug in a reload, what was there stays connection=%s", key)
        return Reloaded(refused=(f"[{key}] could not be read again; the traceback says why",))
