"""Threads of an unchanged app that serve: when one is dead, and when it has only stumbled, or has ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from executing import executed, health
from test_guest import beats

#: An app whose server thread runs until it is told on standard input, and then fails as it has to.
APP = """
import asyncio, socketserver, sys, threading
go, done = threading.Event(), threading.Event()
class Server(socketserver.TCPServer):
    is_new = True
    def service_actions(self):
        if go.is_set() and self.is_new:
            self.is_new = False
            FAIL
server = Server(("127.0.0.1", 0), socketserver.BaseRequestHandler)
server.daemon_threads = True
def serve():
    SERVE
def theirs(args):
    # One write: a second thread prints too.
    sys.stdout.write(f"theirs: {args.exc_value}\\n")
    sys.stdout.flush()
threading.excepthook = theirs
thread = threading.Thread(target=serve, name="hooks", daemon=True)
async def main():
    loop = asyncio.get_running_loop()
    LATER
    thread.start()
    await loop.run_in_executor(None, sys.stdin.readline)
    go.set()
    await loop.run_in_executor(None, done.wait, 20)
    sys.stdout.write("goes on\\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
ONCE = "try:\n        server.serve_forever(0.01)\n    finally:\n        done.set()"
RETRIES = """for _ in range(2):
        try:
            server.serve_forever(0.01)
        except OSError:
            threading.Timer(0.5, done.set).start()"""
HANDLES = RETRIES.replace("range(2)", "range(1)")
WRAPS = """try:
        server.serve_forever(0.01)
    except OSError as error:
        raise RuntimeError("no server") from error
    finally:
        done.set()"""
#: What fails, how the thread runs the server, and the message of the reason.
ENDS = {
    "dies": ('raise OSError("broken")', ONCE, "OSError: broken"),
    "dies with a status": ("sys.exit(3)", ONCE, "SystemExit: 3"),
    "dies of what its exception led to": ('raise OSError("broken")', WRAPS, "RuntimeError: no server"),
    "exits": ("sys.exit(0)", ONCE, None),
    "exits without a status": ("sys.exit()", ONCE, None),
    "serves again": ('raise OSError("broken")', RETRIES, None),
    "handles it and ends": ('raise OSError("broken")', HANDLES, None),
}
LATER = "threading.excepthook = lambda args: theirs(args)"


@pytest.mark.parametrize("later", ["pass", LATER], ids=["one hook", "a hook that is set later"])
@pytest.mark.parametrize("end", ENDS)
def test_a_server_thread_has_died_only_if_its_exception_ends_the_thread(
    end: str, later: str, tmp_path: Path
) -> None:
    fail, serve, message = ENDS[end]
    script = APP.replace("FAIL", fail).replace("SERVE", serve).replace("LATER", later)
    with executed(script, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        health(tmp_path, beats)
        process.stdin.write("\n")
        process.stdin.flush()
        lines = [process.stdout.readline()]
        if message is not None:
            document = health(tmp_path, lambda document: document["status"] == "degraded")
            (reason,) = document["reasons"]
            assert (reason["code"], reason["component"]) == ("thread_died", "hooks")
            assert reason["message"] == f'thread "hooks": {message}'
        while lines[-1] != "goes on\n":
            assert lines[-1] != "", "the app has ended"
            lines.append(process.stdout.readline())
        if message is None:
            document = health(tmp_path, beats)
            assert (document["status"], document["reasons"]) == ("ok", [])
        process.communicate("\n", timeout=30)
    theirs = [line for line in lines if line.startswith("theirs:")]
    assert len(theirs) <= 1, "each hook is called once"


ASYNCIO = """
import asyncio, sys, threading
async def serve():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    server.close()
    await server.serve_forever()
threading.excepthook = lambda args: None
threading.Thread(target=asyncio.run, args=(serve(),), name="hooks").start()
asyncio.run(asyncio.to_thread(sys.stdin.readline))
"""
CALLED_OFF = """
import asyncio, sys, threading
async def serve():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    task = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0.05)
    task.cancel()
    await task
threading.excepthook = lambda args: print(type(args.exc_value).__name__, flush=True)
threading.Thread(target=asyncio.run, args=(serve(),), name="hooks").start()
asyncio.run(asyncio.to_thread(sys.stdin.readline))
"""


def test_a_server_of_asyncio_that_cannot_serve_is_named(tmp_path: Path) -> None:
    with executed(ASYNCIO, tmp_path):
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("thread_died", "hooks")
        assert reason["message"].startswith('thread "hooks": RuntimeError: server <Server')
        assert reason["message"].endswith(" is closed")


def test_a_server_of_asyncio_that_is_cancelled_has_not_died(tmp_path: Path) -> None:
    with executed(CALLED_OFF, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "CancelledError\n"
        document = health(tmp_path, beats)
        assert (document["status"], document["reasons"]) == ("ok", [])


OTHERS = """
import asyncio, sys, threading
class Server:
    def serve_forever(self):
        raise OSError("broken")
def serve():
    WHAT
thread = threading.Thread(target=serve, name="hooks", daemon=True)
async def main():
    thread.start()
    thread.join()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
OF_PACKAGE = "def start():\n    raise OSError('broken')\n"


@pytest.mark.parametrize(
    ("serve", "has_died"),
    [
        ("Server().serve_forever()", True),
        ("import cheroot; cheroot.start()", True),
        ("import other; other.start()", False),
        ("raise OSError('broken')", False),
    ],
    ids=["the app's own class", "a package that serves", "a package that does not", "a plain function"],
)
def test_any_server_that_an_exception_leaves_is_named_and_no_other_thread(
    serve: str, has_died: bool, tmp_path: Path
) -> None:
    for name in ("cheroot", "other"):
        (tmp_path / f"{name}.py").write_text(OF_PACKAGE)
    with executed(OTHERS.replace("WHAT", serve), tmp_path):
        document = health(tmp_path, lambda document: beats(document) and bool(document["exceptions"]))
        told = [(reason["code"], reason["component"], reason["message"]) for reason in document["reasons"]]
        died = [("thread_died", "hooks", 'thread "hooks": OSError: broken')]
        assert told == (died if has_died else [])
