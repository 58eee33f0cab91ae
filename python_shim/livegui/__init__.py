"""livegui: know at once when a GUI app is no longer fit to be tested.

Inside the app::

    import livegui

    agent = livegui.start("myapp")
    agent.watch_executor(pool, "io_pool")
    with agent.main_loop():
        while running:
            agent.beat()

Outside the app, ``pip install livegui[test]`` installs a pytest plugin with the fixture ``live_gui``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from livegui._attach import Agent, start
    from livegui._livegui import __version__

__all__ = ["Agent", "__version__", "start"]


def __getattr__(name: str) -> object:
    # A Python in which livegui watches an unchanged app loads this package at its start. It needs the rest
    # only once there is a main loop.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from livegui import _attach, _livegui  # noqa: PLC0415

    globals().update(Agent=_attach.Agent, start=_attach.start, __version__=_livegui.__version__)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
