"""A real browser: Debian's Chromium without a window, driven by playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.rig.programs import find_program


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Starts it, and surely ends it."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_program("chromium"),
            args=["--no-sandbox"],  # its own sandbox can't be had by root
        )
        try:
            yield chromium
        finally:
            chromium.close()
