"""A headless Chromium for tests of pages, and what it complained about."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

needs_browser = pytest.mark.skipif(
    not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver"
)


@contextmanager
def open_browser(window: str = "1300,2400", *flags: str) -> Iterator[Any]:
    """Yield a browser, which is closed at the end."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    own = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", f"--window-size={window}")
    for flag in (*own, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def complaints(browser: Any) -> list[Any]:
    """Return the errors on the console, and the addresses outside the page that it asked for."""
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    return [*errors, *(address for address in asked if "http" in address)]
