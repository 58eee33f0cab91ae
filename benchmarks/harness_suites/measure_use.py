"""Writes the nanoseconds that livegui takes before each test, of each test, around it, and of the loop."""

import json
import os
import time
from pathlib import Path

import pytest

FIGURES = {"use": [], "tests": [], "around": []}
OWN = []


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not config.pluginmanager.has_plugin("livegui"):
        return
    from livegui.pytest_plugin import _SESSION  # noqa: PLC0415 -- also run without it

    session = config.stash[_SESSION]
    use = session.use

    def timed(app):
        counts = app not in session.used
        began = time.perf_counter_ns()
        use(app)
        if counts:
            FIGURES["use"].append(time.perf_counter_ns() - began)

    session.use = timed


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol():
    began = time.perf_counter_ns()
    result = yield
    taken = time.perf_counter_ns() - began
    FIGURES["tests"].append(taken)
    FIGURES["around"].append(taken - OWN.pop())
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call():
    began = time.perf_counter_ns()
    try:
        return (yield)
    finally:
        OWN.append(time.perf_counter_ns() - began)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    began = time.perf_counter_ns()
    result = yield
    FIGURES["loop"] = time.perf_counter_ns() - began
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["BENCH_OUT"]).write_text(json.dumps(FIGURES))
    return result
