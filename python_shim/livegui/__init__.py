"""livegui: a GUI app under test that says at once when it is no longer fit to be tested.

Inside the app::

    import livegui

    agent = livegui.start("myapp")
    agent.watch_executor(pool, "io_pool")
    with agent.main_loop():
        while running:
            agent.beat()

Outside it, ``pip install livegui[test]`` brings a pytest plugin with the fixture ``live_gui``.
"""

from livegui._attach import Agent, start
from livegui._livegui import __version__

__all__ = ["Agent", "__version__", "start"]
