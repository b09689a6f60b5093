"""The status page in a real browser: it renews itself, and nothing that came from data runs."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.rig.daemon import Routerd
from tests.rig.waiting import wait_until

StartRouterd = Callable[..., Routerd]
HEAD = """
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:{port}"
"""
ROUTE = """
[[route]]
name = {name}
from = "ws:/{path}/{{room}}"
to = "group:/{path}/{{room}}"
"""
BROKEN = """
[mqtt]
url = "mqtt://127.0.0.1:1"
client_id = "t"
[[route]]
name = "broken"
from = "mqtt:a/#"
to = "log:x"
"""


def table(*names: str, port: int = 0) -> str:
    routes = [ROUTE.format(name=json.dumps(name), path=f"p{n}") for n, name in enumerate(names)]
    return HEAD.format(port=port) + "".join(routes)


def url_of(routerd: Routerd) -> str:
    host, port = routerd.admin_address
    return f"http://{host}:{port}/"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window in which every complaint of the browser, and any other host, is a failure."""
    complaints: list[str] = []
    window = browser.new_page(viewport={"width": 1280, "height": 800})
    window.on("console", lambda message: complaints.append(message.text))
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("request", lambda request: complaints.extend(_foreign(request.url)))
    yield window
    window.close()
    # What the browser says when the daemon is away is said by the network, not by the page.
    assert [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one] == []


def _foreign(url: str) -> list[str]:
    return [] if url.startswith("http://127.0.0.1:") else [f"a request to {url}"]


def test_it_renews_itself_and_leaves_alone_what_has_not_changed(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table("lobby") + BROKEN)
    page.goto(url_of(routerd))
    expect(page.locator("#verdict")).to_have_text("1 of 2 routes is being tried again: broken.")
    page.evaluate("for (const id of ['r0', 'r1', 'facts']) document.getElementById(id).mark = id")
    before = page.inner_text("#facts")
    page.fill("#filter", "broken")
    expect(page.locator("#r0")).to_be_hidden()
    next_try = page.locator("#r1 .trouble time")
    known = next_try.get_attribute("title") or ""
    expect(page.locator("#facts")).not_to_have_text(before, timeout=15_000)
    expect(next_try).not_to_have_attribute("title", known, timeout=15_000)
    for each in ("r0", "r1", "facts"):  # the same nodes
        assert page.evaluate("id => document.getElementById(id).mark", each) == each
    expect(page.locator("#r0")).to_be_hidden()  # the filter holds
    expect(page.locator("#shown")).to_have_text("1 of 2")
    assert page.input_value("#filter") == "broken"
    assert page.evaluate("document.activeElement.id") == "filter"


def test_the_place_on_the_page_and_the_selection_stay(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table(*(f"route-{n}" for n in range(40))))
    page.goto(url_of(routerd))
    before = page.inner_text("#r30 .state")
    page.evaluate("scrollTo(0, 1000)")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#r30 .promise'))")
    expect(page.locator("#r30 .state")).not_to_have_text(before, timeout=15_000)
    assert page.evaluate("scrollY") == 1000
    selected = page.evaluate("getSelection().toString()")
    assert selected == "at most once: WebSocket, no required sink"


def test_those_in_trouble_come_first_whenever_that_is(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table("a", "b") + BROKEN)
    page.goto(url_of(routerd))
    names = page.locator("#routes tbody > tr:first-child > th")
    expect(names).to_have_text(["broken", "a", "b"])
    page.wait_for_timeout(2500)
    expect(names).to_have_text(["broken", "a", "b"])


def test_it_says_that_routerd_is_away_and_recovers(start_routerd: StartRouterd, page: Page) -> None:
    routerd = start_routerd(table("lobby"))
    port = routerd.admin_address[1]
    page.goto(url_of(routerd))
    expect(page.locator("#away")).to_be_hidden()
    routerd.kill()
    expect(page.locator("#away")).to_contain_text("has not answered since", timeout=15_000)
    expect(page.locator("#r0")).to_contain_text("lobby")
    routerd.config_path.write_text(table("lobby", "annex", port=port))
    routerd.start()
    expect(page.locator("#away")).to_be_hidden(timeout=15_000)
    expect(page.locator("#r1")).to_contain_text("annex")


def test_an_answer_that_is_no_status_page_is_told_from_silence(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table("lobby"))
    page.goto(url_of(routerd))
    page.route(url_of(routerd), lambda asked: asked.fulfill(body="a proxy"))
    expect(page.locator("#away")).to_contain_text("has answered 200 instead", timeout=15_000)
    expect(page.locator("#r0")).to_contain_text("lobby")


def test_another_version_of_routerd_is_shown_by_its_own_script(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table("lobby"))
    page.goto(url_of(routerd))
    version = page.locator("html").get_attribute("data-version")
    with page.expect_navigation(timeout=15_000):
        page.evaluate("document.documentElement.dataset.version = '0'")
    assert page.locator("html").get_attribute("data-version") == version


def test_it_is_readable_without_javascript(start_routerd: StartRouterd, browser: Browser) -> None:
    routerd = start_routerd(table("lobby") + BROKEN)
    context = browser.new_context(java_script_enabled=False)
    window = context.new_page()
    window.goto(url_of(routerd))
    expect(window.locator("#verdict")).to_contain_text("broken")
    expect(window.locator("#r0")).to_contain_text("lobby")
    expect(window.locator("#search")).to_be_hidden()
    assert window.locator("noscript meta[http-equiv=refresh]").count() == 1
    context.close()


def test_names_stay_names_through_the_script_too(start_routerd: StartRouterd, page: Page) -> None:
    name = "<img/src=x/onerror='window.owned=1'><b/id=bold>&amp;"
    routerd = start_routerd(table(name))
    page.goto(url_of(routerd))
    before = page.inner_text("#facts")
    expect(page.locator("#facts")).not_to_have_text(before, timeout=15_000)
    expect(page.locator("#r0 th")).to_have_text(name)
    assert page.locator("#bold, img").count() == 0
    assert page.evaluate("window.owned") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    scheme: str, start_routerd: StartRouterd, browser: Browser
) -> None:
    routerd = start_routerd(table("a-route-with-a-name-that-is-rather-long" * 3) + BROKEN)
    window = browser.new_page(viewport={"width": 360, "height": 740})
    window.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    window.goto(url_of(routerd))
    expect(window.locator("#r1")).to_contain_text("broken")
    assert window.evaluate("document.documentElement.scrollWidth") <= 360
    ground = window.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(21, 23, 26)" if scheme == "dark" else "rgb(251, 251, 250)")
    window.close()


TWO_SINKS = """
[[route]]
name = "two"
from = "ws:/two/{room}"
to = ["group:/two/{room}", "log:two"]
"""
PLACES = "each => each.map(one => [one.getBoundingClientRect().top, one.getClientRects().length])"


def test_a_phone_shows_a_sink_a_line_and_a_number_beside_its_limit(
    start_routerd: StartRouterd, browser: Browser
) -> None:
    routerd = start_routerd(HEAD.format(port=0) + TWO_SINKS)
    window = browser.new_page(viewport={"width": 360, "height": 740})
    window.goto(url_of(routerd))
    expect(window.locator("#r0 .way code")).to_have_count(3)
    addresses = window.eval_on_selector_all("#r0 .way code", PLACES)
    assert len({top for top, _lines in addresses}) == 3
    whole = window.eval_on_selector_all("#r0 .window span, #r0 .way small", PLACES)
    assert [lines for _top, lines in whole] == [1, 1, 1]
    window.close()


def test_bars_stand_below_each_other_and_lines_below_their_heading(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table("a", "b") + TWO_SINKS + "inflight = 12345\n")
    page.goto(url_of(routerd))
    expect(page.locator("#routes meter")).to_have_count(3)
    left = "each => each.map(one => one.getBoundingClientRect().left)"
    assert len(set(page.eval_on_selector_all("#routes meter", left))) == 1
    assert page.evaluate("document.querySelector('th.line').clientWidth") < 200


def test_500_routes_are_shown_while_routerd_answers(
    start_routerd: StartRouterd, page: Page
) -> None:
    routerd = start_routerd(table(*(f"route-{n:03d}" for n in range(500))))
    page.goto(url_of(routerd))
    expect(page.locator("#routes tbody")).to_have_count(500)
    before = page.inner_text("#facts")
    wait_until(
        lambda: routerd.get("/livez").status == 200 and page.inner_text("#facts") != before,
        "the page renews itself, and the daemon lives",
        timeout=60,
    )
    page.fill("#filter", "route-499")
    expect(page.locator("#r499")).to_be_visible()
    expect(page.locator("#r0")).to_be_hidden()
