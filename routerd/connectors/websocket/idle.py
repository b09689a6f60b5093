"""Ends clients of which nothing was heard for too long: one task for all of a listener."""

import trio

from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.roster import Roster

ROUNDS = 8
"""How often everybody is looked at within the time that they may be silent for."""
_GUESTS_A_TURN = 500


async def end_idle(roster: Roster) -> None:
    """Looks at all clients now and then, until cancelled."""
    timeout = roster.limits.idle_timeout
    while timeout:
        await trio.sleep(timeout / ROUNDS)
        deadline = trio.current_time() - timeout
        for number, guest in enumerate(list(roster.guests), start=1):
            if guest.heard_at() < deadline:
                guest.end(Ending.IDLE, is_hopeless=True)
            if number % _GUESTS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
