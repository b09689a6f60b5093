"""What the demo's page server answers, and to whom."""

from collections.abc import AsyncIterator

import httpx
import pytest

from routerd.admin import open_http
from routerd.demo.app import Show, build_app
from routerd.demo.scene import ACTIONS, Action, Facts

HOST = "127.0.0.1:8801"
WEBSOCKET = "127.0.0.1:8800"


@pytest.fixture
def done() -> list[Action]:
    return []


@pytest.fixture
async def http(done: list[Action]) -> AsyncIterator[httpx.AsyncClient]:
    def facts() -> Facts:
        return {"done": len(done), "odd": "\udc80"}

    show = Show([HOST, "localhost:8801"], WEBSOCKET, facts, done.append)
    async with (
        open_http(build_app(show), host="127.0.0.1", port=0) as address,
        httpx.AsyncClient(
            base_url=f"http://{address}", headers={"Host": HOST}, trust_env=False
        ) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javasc")]
)
async def test_the_page_runs_nothing_but_its_own_file(
    http: httpx.AsyncClient, path: str, kind: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert f"connect-src 'self' ws://{WEBSOCKET};" in policy
    assert "unsafe" not in policy


async def test_facts_and_plan_are_json(http: httpx.AsyncClient) -> None:
    assert (await http.get("/facts.json")).json()["done"] == 0
    plan = (await http.get("/plan.json")).json()
    assert (len(plan["lines"]), plan["websocket"]) == (6, WEBSOCKET)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_button_does_what_it_says_and_shows_what_came_of_it(
    http: httpx.AsyncClient, done: list[Action], action: Action
) -> None:
    answer = await http.post("/act", json={"action": action}, headers={"Origin": f"http://{HOST}"})
    assert (answer.status_code, answer.json()["done"]) == (200, 1)
    assert done == [action]


@pytest.mark.parametrize("path", ["/", "/page.js", "/facts.json", "/plan.json"])
async def test_a_name_that_was_led_here_gets_nothing(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Host": "evil.example:8801"})
    assert answer.status_code == 421
    assert answer.json() == {"error": f"try http://{HOST}/"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
async def test_a_foreign_page_presses_no_button(
    http: httpx.AsyncClient, done: list[Action], headers: dict[str, str], status: int
) -> None:
    answer = await http.post("/act", json={"action": "fall"}, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert done == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'"fall"',
        b'{"action": "rm"}',
        b'{"action": "fall", "more": 1}',
        b"[" * 5000,
        b'{"action": "fall"' + b" " * 100_000 + b"}",
    ],
)
async def test_what_is_no_button_is_refused_with_their_names(
    http: httpx.AsyncClient, done: list[Action], body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/act", content=body, headers=headers)
    assert answer.status_code == 400
    assert "stop-kafka, start-kafka" in answer.json()["error"]
    assert done == []


async def test_a_button_is_not_pressed_by_looking(
    http: httpx.AsyncClient, done: list[Action]
) -> None:
    assert (await http.get("/act")).status_code == 405
    assert done == []
