"""asyncio: ``python asyncio_app.py``."""

from __future__ import annotations

import asyncio

from commands import Commands, abort


async def serve() -> None:
    """The app's own."""
    do = Commands(crash=abort)
    loop = asyncio.get_running_loop()

    def on_timeout() -> None:
        loop.call_later(0.02, on_timeout)
        do()

    on_timeout()
    await asyncio.Event().wait()


# [wiring]
import livegui
from livegui.toolkits import asyncio as live_asyncio

agent = livegui.start("myapp")


async def main() -> None:
    live_asyncio.install(agent)  # the running loop
    await serve()
    agent.stopping()


with agent.main_loop():
    asyncio.run(main())
# [/wiring]
