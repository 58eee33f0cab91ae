"""An unchanged Dear PyGui app that sleeps until there is input, and has threads that Python's ``threading`` does not know."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from executing import health, shown

#: A thread that the app starts before its first frame or after it; it runs for as long as the app does.
APP = """
import _thread, threading
import dearpygui.dearpygui as dpg
def poll():
    threading.Event().wait()
# Named: Dear PyGui keeps no reference to a callback.
def start():
    _thread.start_new_thread(poll, ())
def wait():
    dpg.configure_app(wait_for_input=True)
dpg.create_context()
dpg.create_viewport(width=200, height=100)
dpg.setup_dearpygui()
dpg.show_viewport()
WAITS
BEGINS
dpg.start_dearpygui()
"""
WAITS = {
    "from the start": "wait()",
    "later": "dpg.set_frame_callback(10, wait)",
}
BEGINS = {
    "from the start": "start()",
    "later": "dpg.set_frame_callback(3, start)",
}


@pytest.mark.parametrize("when", WAITS)
def test_a_dear_pygui_app_that_waits_for_input_is_asked_and_its_threads_are_no_callbacks(
    when: str, tmp_path: Path
) -> None:
    script = APP.replace("WAITS", WAITS[when]).replace("BEGINS", BEGINS[when])
    with shown("dearpygui", script, "dearpygui", tmp_path, LIVEGUI_STALL_AFTER_MS="2000"):
        document = health(tmp_path, lambda document: document["uptime_ms"] > 5000)
        assert (document["status"], document["history"]) == ("ok", [])
        assert document["checks"]["main_loop"]["left_open"] == []
        agent = json.loads((tmp_path / "agent.json").read_text())
        beats = document["checks"]["main_loop"]["beats"]
        url = f"{agent['url']}/health?beat_after=now&wait_ms=20000&token={agent['token']}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert json.load(answer)["checks"]["main_loop"]["beats"] > beats
