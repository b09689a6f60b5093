"""Each path's answer, as a starlette application. Sockets are `server.py`'s business.

Every endpoint is a coroutine that only looks: starlette would run a plain function in a thread,
beside the loop that writes what it reads.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from routerd.admin.facts import heartbeat_age, is_alive, is_ready, readiness, status_facts
from routerd.admin.history import History
from routerd.admin.page import CONTENT_SECURITY_POLICY, Page, read_asset
from routerd.metrics import expose, open_registry
from routerd.status import DaemonStatus

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def build_app(status: DaemonStatus, history: History) -> Starlette:
    """The application; GET and HEAD of a few paths, JSON that says what is wrong elsewhere."""
    endpoints = _Endpoints(status, history)
    answers: dict[str, Endpoint] = {
        "/": endpoints.page,
        "/page.css": endpoints.style,
        "/page.js": endpoints.script,
        "/livez": endpoints.livez,
        "/readyz": endpoints.readyz,
        "/metrics": endpoints.metrics,
        "/status.json": endpoints.status_json,
    }
    app = Starlette(
        routes=[Route(path, _outspoken(endpoint)) for path, endpoint in answers.items()],
        exception_handlers={HTTPException: _refuse},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoints:
    def __init__(self, status: DaemonStatus, history: History) -> None:
        self._status = status
        self._history = history
        self._page = Page(status, history)
        self._registry = open_registry(status)
        # One scrape at a time holds its samples: those of 500 routes take 6 MB.
        self._scraping = trio.Lock()

    async def page(self, _request: Request) -> Response:
        headers = {**_HEADERS, "Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return HTMLResponse(await self._page.render(), headers=headers)

    async def style(self, _request: Request) -> Response:
        return Response(read_asset("page.css"), media_type="text/css", headers=_HEADERS)

    async def script(self, _request: Request) -> Response:
        return Response(read_asset("page.js"), media_type="text/javascript", headers=_HEADERS)

    async def livez(self, _request: Request) -> Response:
        alive = is_alive(self._status)
        facts = {"alive": alive, "heartbeat_age_seconds": round(heartbeat_age(self._status), 3)}
        return _answer(facts, HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE)

    async def readyz(self, request: Request) -> Response:
        routes = self._status.routes
        names = set(request.query_params.getlist("route"))
        if unknown := names - {route.name for route in routes}:
            said = f"no route is named {', '.join(map(repr, sorted(unknown)))}"
            return _answer({"error": said}, HTTPStatus.NOT_FOUND)
        asked = [route for route in routes if not names or route.name in names]
        code = HTTPStatus.OK if is_ready(asked) else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(readiness(asked), code)

    async def metrics(self, request: Request) -> Response:
        async with self._scraping:
            exposition = await expose(self._registry, request.headers.get("accept", ""))
        headers = {**_HEADERS, "Content-Type": exposition.content_type}
        return Response(exposition.body, headers=headers)

    async def status_json(self, _request: Request) -> Response:
        facts = status_facts(self._status, self._history)
        await trio.lowlevel.checkpoint()  # 3 ms each for 500 routes, and then as JSON
        return _answer(facts, HTTPStatus.OK)


def _outspoken(endpoint: Endpoint) -> Endpoint:
    """The same endpoint, whose bug is in the log: hypercorn forgets it if the client has left."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception:
            logger.exception("admin page failed path=%s", request.url.path)
            said = "a bug in routerd; the log has more"
            return _answer({"error": said}, HTTPStatus.INTERNAL_SERVER_ERROR)

    return answer


async def _refuse(request: Request, exc: Exception) -> Response:  # noqa: ASYNC124 - starlette
    """404 and 405, in the words of the other answers."""
    if not isinstance(exc, HTTPException):
        raise exc
    match exc.status_code:
        case HTTPStatus.NOT_FOUND:
            said = f"nothing is at {request.url.path}; try / /livez /readyz /metrics /status.json"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            said = f"{request.method} is not for this path; only GET and HEAD are"
        case _:
            said = exc.detail
    return _answer({"error": said}, exc.status_code, headers=exc.headers)


def _answer(
    facts: Mapping[str, object], code: int, *, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        _encoded(json.dumps(facts, ensure_ascii=False) + "\n"),
        status_code=code,
        media_type="application/json",
        headers={**_HEADERS, **(headers or {})},
    )


def _encoded(text: str) -> bytes:
    """UTF-8. A lone surrogate, as os.fsdecode makes them, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")
