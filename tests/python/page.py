"""A real headless Chromium for the tests of pages, and runs to look at."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

#: Packages for these tests, which `python3 dev.py test` keeps out of .venv.
BROWSER = os.environ.get("LIVEGUI_TEST_BROWSER", "")
#: What a browser says of a page that is as it should be: nothing.
SIZES = {"wide": (1400, 900), "narrow": (400, 800)}


def missing() -> str | None:
    """Why there is no browser, if there is none."""
    if BROWSER and BROWSER not in sys.path:
        sys.path.append(BROWSER)
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed: run the tests with python3 dev.py test"
    if _chromium() is None or shutil.which("chromedriver") is None:
        return "there is no Chromium: apt-get install chromium chromium-driver"
    return None


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


def open_browser(profile: Path, *, size: str = "wide", dark: bool = False) -> WebDriver:
    """A browser with a profile of its own, that talks to nobody."""
    from selenium import webdriver  # noqa: PLC0415 -- may be missing
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415 -- may be missing

    width, height = SIZES[size]
    options = webdriver.ChromeOptions()
    options.binary_location = _chromium() or ""
    for switch in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={profile}",
        f"window-size={width},{height}",
    ):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    return driver


class Page:
    """A page in a browser, as somebody who looks at it would name its parts."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver

    def open(self, file: Path, fragment: str = "") -> Page:
        """Open a file, and wait until it is drawn."""
        self.driver.get("about:blank")
        self.driver.get(f"file://{file}{fragment}")
        return self

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        """What can be read there. In one step, since the page may draw itself anew at any time."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def shows(self, selector: str, text: str) -> bool:
        """Whether the text can be read there, once a click or a link has been followed."""
        deadline = time.monotonic() + 10
        while text not in self.text(selector):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver import ActionChains  # noqa: PLC0415 -- may be missing

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str) -> Any:
        self.driver.set_script_timeout(30)
        return self.driver.execute_async_script(script)

    def complaints(self) -> list[str]:
        """What the browser's console has."""
        driver: Any = self.driver
        return [str(entry["message"]) for entry in driver.get_log("browser")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A wide, light page; at the end its console has to be empty."""
    why = missing()
    if why is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    driver = open_browser(tmp_path_factory.mktemp("profile"))
    try:
        yield Page(driver)
    finally:
        driver.quit()
