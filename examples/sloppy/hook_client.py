"""The suite's own client of the app's hook server."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

#: How long a test is ready to poll. Two minutes, as in the suite that this one is modelled on.
POLL_S = float(os.environ.get("SLOPPY_POLL_S", "120"))


class HookClient:
    """Clicks and reads, over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def click(self, button: str) -> None:
        self._ask("/click", {"button": button})

    def fault(self, name: str, **arguments: Any) -> None:
        self._ask("/fault", {"fault": name, **arguments})

    def value(self, name: str) -> Any:
        return self._ask(f"/value?name={name}")["value"]

    def status(self) -> dict[str, Any]:
        return self._ask("/status")

    def wait_until(self, what: str, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Poll until ``condition`` holds."""
        timeout = POLL_S if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except Exception:  # noqa: BLE001 -- sloppy, as such loops are: whatever it is, try again
                pass
            time.sleep(0.1)
        pytest.fail(f"{what} timed out after {timeout:g} s")

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data, timeout=5) as answer:
            document: dict[str, Any] = json.load(answer)
            return document
