"""Executors that take no more work."""

from __future__ import annotations

import asyncio
import gc
import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import livegui


def wait_for(agent: livegui.Agent, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first health for which ``condition`` holds: the canary looks a few times a second."""
    deadline = time.monotonic() + 10
    while not condition(document := agent.health()):
        assert time.monotonic() < deadline, document
    return document


def degraded(document: dict[str, Any]) -> bool:
    return bool(document["status"] == "degraded")


def close_it(pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False)


def test_a_shutdown_is_reported_at_once_and_names_who_did_it(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    close_it(pool)
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "executor_shutdown"
    assert reason["component"] == "io_pool"
    line = close_it.__code__.co_firstlineno + 1
    assert f"close_it() at test_executors.py:{line}" in reason["message"]
    with pytest.raises(RuntimeError):
        pool.submit(print)


def test_a_module_that_is_only_called_like_one_of_pythons_own_is_named(
    agent: livegui.Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "threading_utils.py").write_text("def close(pool):\n    pool.shutdown()\n")
    monkeypatch.syspath_prepend(tmp_path)
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    importlib.import_module("threading_utils").close(pool)
    (reason,) = agent.health()["reasons"]
    assert "close() at threading_utils.py:2" in reason["message"]


def test_leaving_a_with_block_names_the_block(agent: livegui.Agent) -> None:
    with ThreadPoolExecutor(1) as pool:
        agent.watch_executor(pool, "io_pool")
    (reason,) = agent.health()["reasons"]
    assert "test_leaving_a_with_block_names_the_block() at test_executors.py" in reason["message"]


def test_a_shutdown_past_the_wrap_is_noticed(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    ThreadPoolExecutor.shutdown(pool)
    assert wait_for(agent, degraded)["reasons"][0]["code"] == "executor_shutdown"


def test_a_failed_initializer_is_broken(agent: livegui.Agent) -> None:
    def fail() -> None:
        raise OSError("no such device")

    pool = ThreadPoolExecutor(1, initializer=fail)
    agent.watch_executor(pool, "io_pool")
    with pytest.raises(Exception, match="initializer"):
        pool.submit(print).result()
    assert wait_for(agent, degraded)["reasons"][0]["code"] == "executor_broken"


def test_only_a_weak_reference_is_kept(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    del pool
    gc.collect()
    assert wait_for(agent, degraded)["reasons"][0]["code"] == "executor_gone"


def test_an_expected_shutdown_is_no_reason(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    agent.expect_shutdown(pool)
    pool.shutdown()
    document = agent.health()
    assert document["status"] == "ok"
    assert document["checks"]["executors"][0]["state"] == "shutdown"


def test_a_wrap_of_somebody_else_is_called_through(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    calls = []
    pool.shutdown = lambda *args, **kwargs: calls.append(kwargs)  # type: ignore[method-assign]
    agent.watch_executor(pool, "io_pool")
    pool.shutdown(wait=False)
    assert calls == [{"wait": False}]
    ThreadPoolExecutor.shutdown(pool)


def work_forever(seconds: float) -> None:
    time.sleep(seconds)


def test_a_killed_worker_process_breaks_its_pool(agent: livegui.Agent) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        agent.watch_executor(pool, "workers")
        future = pool.submit(work_forever, 60)
        wait_for(agent, lambda document: bool(document["checks"]["executors"][0]["workers"]))
        for pid in list(pool._processes):
            os.kill(pid, signal.SIGTERM)
        with pytest.raises(BrokenExecutor):
            future.result()
        assert wait_for(agent, degraded)["reasons"][0]["code"] == "executor_broken"


def test_the_default_executor_of_a_loop_is_watched_as_soon_as_there_is_one(agent: livegui.Agent) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        agent.watch_executor(loop, "asyncio")
        await loop.run_in_executor(None, time.sleep, 0)
        wait_for(agent, lambda document: document["checks"]["executors"][0]["workers"] == 1)
        assert agent.health()["status"] == "ok"
        await loop.shutdown_default_executor()
        (reason,) = agent.health()["reasons"]
        assert reason["code"] == "executor_shutdown"
        assert "main() at test_executors.py" in reason["message"]

    asyncio.run(main())


def test_work_that_a_watched_loop_refuses_names_who_gave_it_and_who_ended_it(agent: livegui.Agent) -> None:
    def give(loop: asyncio.AbstractEventLoop) -> None:
        loop.run_in_executor(None, print)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        agent.watch_executor(loop, "asyncio")
        await loop.shutdown_default_executor()
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, int)  # another pool still takes work
        assert "executor_refused" not in [reason["code"] for reason in agent.health()["reasons"]]
        with pytest.raises(RuntimeError, match="shutdown"):
            give(loop)
        refused = next(r for r in agent.health()["reasons"] if r["code"] == "executor_refused")
        assert refused["component"] == "asyncio"
        given = give.__code__.co_firstlineno + 1
        assert refused["message"].startswith(
            f'asyncio default executor "asyncio" refused the work of give() at test_executors.py:{given}: '
            "it was shut down by main() at test_executors.py:"
        )

    asyncio.run(main())


def test_a_saturated_pool_is_busy_and_no_reason(agent: livegui.Agent) -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        agent.watch_executor(pool, "io_pool")
        agent.expect_shutdown(pool)
        for _ in range(5):
            pool.submit(go.wait, 30)
        document = wait_for(agent, lambda document: document["checks"]["executors"][0]["queued"] == 4)
        assert document["status"] == "ok"
        go.set()


def test_a_pool_that_finishes_nothing_is_stalled_if_that_is_asked_for(tmp_path: Path) -> None:
    agent = livegui.start("test", run_dir=tmp_path, executor_stall_ms=300)
    agent.beat()
    go = threading.Event()
    try:
        with ThreadPoolExecutor(1) as pool:
            agent.watch_executor(pool, "io_pool")
            agent.expect_shutdown(pool)
            for _ in range(3):
                pool.submit(go.wait, 30)
            (reason,) = wait_for(agent, degraded)["reasons"]
            assert reason["code"] == "executor_stalled"
            assert "2 are queued" in reason["message"]
            go.set()
            document = wait_for(agent, lambda document: document["status"] == "ok")
            assert [reason["code"] for reason in document["history"]] == ["executor_stalled"]
    finally:
        go.set()
        agent.stop()


def test_the_end_of_a_pool_that_was_replaced_is_no_news(agent: livegui.Agent) -> None:
    old, new = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    agent.watch_executor(old, "io_pool")
    agent.watch_executor(new, "io_pool")
    old.shutdown()
    assert agent.health()["status"] == "ok"
    new.shutdown()
    assert degraded(agent.health())


def test_a_pool_can_be_rebuilt_any_number_of_times(agent: livegui.Agent) -> None:
    for _ in range(300):
        rebuilt = ThreadPoolExecutor(1)
        agent.watch_executor(rebuilt, "io_pool")
    assert agent.health()["status"] == "ok"
    held = [ThreadPoolExecutor(1) for _ in range(255)]
    for number, pool in enumerate(held):
        agent.watch_executor(pool, f"pool {number}")
    with pytest.raises(ValueError, match="at most 256"):
        agent.watch_executor(ThreadPoolExecutor(1), "one too many")


def test_who_leaves_the_block_of_a_pool_that_broke_is_not_to_blame(agent: livegui.Agent) -> None:
    def fail() -> None:
        raise OSError("no such device")

    with ThreadPoolExecutor(1, initializer=fail) as pool:
        agent.watch_executor(pool, "io_pool")
        future = pool.submit(print)
        with pytest.raises(BrokenExecutor):
            future.result()
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "executor_broken"


def test_who_keeps_only_the_shutdown_of_a_pool_keeps_the_pool(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    shutdown = pool.shutdown
    del pool
    gc.collect()
    assert agent.health()["status"] == "ok"
    shutdown()
    assert agent.health()["reasons"][0]["code"] == "executor_shutdown"


class Odd(ThreadPoolExecutor):
    """An executor that must not be looked at."""

    @property
    def _broken(self) -> bool:
        raise NotImplementedError("odd")

    @_broken.setter
    def _broken(self, value: bool) -> None:
        pass


def test_an_executor_that_raises_when_looked_at_hides_no_other(agent: livegui.Agent) -> None:
    agent.watch_executor(Odd(1), "odd")
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    document = wait_for(agent, degraded)
    assert document["reasons"][0]["code"] == "agent_fault"
    assert "odd" in document["reasons"][0]["message"]
    ThreadPoolExecutor.shutdown(pool)
    document = wait_for(agent, lambda document: len(document["reasons"]) == 2)
    assert document["reasons"][1]["code"] == "executor_shutdown"


def test_what_is_no_executor_is_refused(agent: livegui.Agent) -> None:
    with pytest.raises(TypeError, match="not dict"):
        agent.watch_executor({}, "x")  # type: ignore[arg-type]


def submit_to(pool: ThreadPoolExecutor) -> None:
    pool.submit(print)


def test_refused_work_of_a_watched_pool_names_who_gave_it_and_who_ended_it(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    agent.expect_shutdown(pool)
    close_it(pool)
    assert agent.health()["reasons"] == []
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        submit_to(pool)
    (reason,) = agent.health()["reasons"]
    assert (reason["code"], reason["component"], reason["recoverable"]) == (
        "executor_refused",
        "io_pool",
        False,
    )
    given, ended = (function.__code__.co_firstlineno + 1 for function in (submit_to, close_it))
    assert reason["message"].startswith(
        f'ThreadPoolExecutor "io_pool" refused the work of submit_to() at test_executors.py:{given}: '
        f"it was shut down by close_it() at test_executors.py:{ended} "
    )


def test_refused_work_of_a_broken_pool_says_what_broke_it(agent: livegui.Agent) -> None:
    def fail() -> None:
        raise OSError("no such device")

    pool = ThreadPoolExecutor(1, initializer=fail)
    agent.watch_executor(pool, "io_pool")
    with pytest.raises(BrokenExecutor):
        pool.submit(print).result()
    with pytest.raises(BrokenExecutor):
        pool.submit(print)
    message = next(r["message"] for r in agent.health()["reasons"] if r["code"] == "executor_refused")
    assert "it is broken: A thread initializer failed" in message


def test_an_exception_of_what_is_submitted_is_no_refusal(agent: livegui.Agent) -> None:
    def fail() -> None:
        raise RuntimeError("its own")

    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    with pytest.raises(RuntimeError, match="its own"):
        pool.submit(fail).result()
    with pytest.raises(TypeError):
        pool.submit()  # type: ignore[call-arg]
    assert agent.health()["reasons"] == []


def test_work_after_the_interpreter_has_told_all_pools_to_end_is_a_refusal(
    agent: livegui.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "io_pool")
    monkeypatch.setattr("concurrent.futures.thread._shutdown", True)
    assert agent.health()["reasons"] == []  # that alone is how every app ends
    with pytest.raises(RuntimeError):
        pool.submit(print)
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "executor_refused"
