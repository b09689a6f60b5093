"""What a person would look at: is it running, what does it say of a route."""

import json
from typing import Any

from tests.rig.daemon import Routerd
from tests.rig.waiting import wait_until

JsonObject = dict[str, Any]


def wait_running(routerd: Routerd, *names: str, timeout: float = 20.0) -> None:
    """Returns when these routes run, or all of them."""
    path = "/readyz" + ("?" + "&".join(f"route={name}" for name in names) if names else "")
    wait_until(
        lambda: routerd.get(path).status == 200, f"{names or 'all routes'} run", timeout=timeout
    )


def status_of(routerd: Routerd, name: str) -> JsonObject:
    """The route's part of /status.json."""
    routes = json.loads(routerd.get("/status.json").text)["routes"]
    found: JsonObject = next(route for route in routes if route["name"] == name)
    return found


def wait_state(routerd: Routerd, name: str, state: str, *, timeout: float = 20.0) -> JsonObject:
    """The route's status once it is in that state."""
    wait_until(
        lambda: status_of(routerd, name)["state"] == state, f"{name} is {state}", timeout=timeout
    )
    return status_of(routerd, name)
