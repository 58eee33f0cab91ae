"""An app that remembers the words it is told over HTTP, until it ends: what one test file leaves, the next finds."""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import livegui

FRAME_S = 0.005

words: set[str] = set()
crash = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """``GET /`` lists the words; ``POST /word`` adds one, ``POST /-word`` takes it away."""

    def do_GET(self) -> None:
        self.answer(" ".join(sorted(words)).encode())

    def do_POST(self) -> None:
        word = self.path[1:]
        if word == "crash":
            crash.set()
        elif word.startswith("-"):
            words.discard(word[1:])
        else:
            words.add(word)
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.0 200 \r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    agent = livegui.start("stateful")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with agent.main_loop():
        while not crash.is_set():
            agent.beat()
            time.sleep(FRAME_S)
        raise RuntimeError("out of cheese")


if __name__ == "__main__":
    main()
