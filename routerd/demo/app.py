"""The page and its buttons, as a starlette application. What they mean is `scene`'s business."""

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from routerd.demo.city import plan
from routerd.demo.scene import ACTIONS, Action, Facts

_FOLDER: Final = Path(__file__).with_name("page")
_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_BODY_BYTES: Final = 1024
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Show:
    """What the page is about.

    Attributes:
        hosts: what a browser may call this server: `127.0.0.1:8801`.
        websocket: where routerd's WebSocket listener is.
        facts: gives what is so now.
        act: does what a button says.
    """

    hosts: Sequence[str]
    websocket: str
    facts: Callable[[], Facts]
    act: Callable[[Action], None]


def build_app(show: Show) -> Starlette:
    """The application; everything is answered at once and on the loop."""
    endpoints = _Endpoints(show)
    return Starlette(
        routes=[
            *(Route(path, endpoints.file) for path in _FILES),
            Route("/plan.json", endpoints.plan),
            Route("/facts.json", endpoints.facts),
            Route("/act", endpoints.act, methods=["POST"]),
        ]
    )


class _Endpoints:
    def __init__(self, show: Show) -> None:
        self._show = show
        self._files = {
            path: (_FOLDER.joinpath(name).read_bytes(), kind)
            for path, (name, kind) in _FILES.items()
        }
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
            f"connect-src 'self' ws://{show.websocket}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    async def file(self, request: Request) -> Response:
        if refusal := self._refuse_host(request):
            return refusal
        body, kind = self._files[request.url.path]
        headers = {**_HEADERS, "Content-Security-Policy": self._policy}
        return Response(body, media_type=kind, headers=headers)

    async def plan(self, request: Request) -> Response:
        return self._refuse_host(request) or _answer({**plan(), "websocket": self._show.websocket})

    async def facts(self, request: Request) -> Response:
        return self._refuse_host(request) or _answer(self._show.facts())

    async def act(self, request: Request) -> Response:
        """Presses a button.

        Only loopback can reach us, but any page in this machine's browser is on loopback. A form
        of a foreign page can't say that it sends JSON; its script has to ask first, and is not
        allowed to; and one that has rebound its name to this address says that name as the host.
        """
        if refusal := self._refuse_host(request):
            return refusal
        origin = request.headers.get("origin", "")
        if origin not in ("", *(f"http://{host}" for host in self._show.hosts)):
            return _refusal(HTTPStatus.FORBIDDEN, f"a page of {origin} may press nothing here")
        if request.headers.get("content-type") != "application/json":
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        try:
            wanted = json.loads(await _read_body(request))
        except (ValueError, RecursionError):
            wanted = None
        for action in ACTIONS:
            if wanted == {"action": action}:
                self._show.act(action)
                return _answer(self._show.facts())
        said = f'send {{"action": A}}, where A is one of {", ".join(ACTIONS)}'
        return _refusal(HTTPStatus.BAD_REQUEST, said)

    def _refuse_host(self, request: Request) -> Response | None:
        """A name that isn't ours is one that somebody else has led to this address."""
        if request.headers.get("host") in self._show.hosts:
            return None
        return _refusal(HTTPStatus.MISDIRECTED_REQUEST, f"try http://{self._show.hosts[0]}/")


async def _read_body(request: Request) -> bytes:
    """The first kilobyte or so: what is longer is no button."""
    body = b""
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > _BODY_BYTES:
                break
    return body


def _answer(facts: Facts, code: int = HTTPStatus.OK) -> Response:
    body = json.dumps(facts, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, status_code=code, media_type="application/json", headers=_HEADERS)


def _refusal(code: HTTPStatus, said: str) -> Response:
    return _answer({"error": said}, code)
