"""File descriptors: each client takes one, and the system may give us too few."""

import logging
import resource

logger = logging.getLogger(__name__)

SPARE = 256
"""For everything else: brokers, Kafka's threads, the admin page, clients that are turned away."""


def make_room(clients: int) -> None:
    """Asks the system for as many as so many clients need; warns if it doesn't give them."""
    needed = clients + SPARE
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return
    allowed = needed if most == resource.RLIM_INFINITY else min(needed, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    if allowed < needed:
        logger.warning(
            "fewer websocket clients than the table says have room connections=%d files=%d",
            clients,
            allowed,
        )


def is_spare(descriptor: int) -> bool:
    """Whether a client would have one that the rest of routerd needs: the lowest go first."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return allowed != resource.RLIM_INFINITY and descriptor >= allowed - min(SPARE, allowed // 2)
