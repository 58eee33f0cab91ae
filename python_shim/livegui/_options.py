"""The options of the plugin: their defaults, their help, and how their values are read."""

from __future__ import annotations

import pytest

#: The default of each option, and its text in ``--help``.
OPTIONS = {
    "command": (
        "",
        "the app's command line; {hook_port}, {state_dir} and {python} are filled in",
    ),
    "scope": (
        "session",
        "how long one process is used: session, module (a fresh one for each file) or function",
    ),
    "respawn": (
        "file",
        "when a degraded app is replaced: before the next file, before the next test, or never",
    ),
    "spares": (
        "0",
        "how many ready apps to keep waiting, so that a fresh process needs no start-up time; "
        "needs {hook_port}",
    ),
    "callback_errors": (
        "fail",
        "what to do when a callback raises but the app goes on: note it, fail the running test, or degrade "
        "the app",
    ),
    "max_respawns": (
        "3",
        "after the same failure this many times in a row, stop respawning: the remaining tests fail at once",
    ),
    "ready_timeout": ("30", "seconds from start to ok"),
    "abort": (
        "true",
        "fail the running test the moment the app degrades, even while it sleeps or polls: true or false",
    ),
    "handover": (
        "respawn",
        "what to do if the main loop does not run when a file begins: respawn, fail (respawn, and fail the "
        "test before it too), or off",
    ),
    "handover_timeout": (
        "500ms",
        "how long to wait for the main loop when a file begins: seconds, or a number with a unit",
    ),
    "left_open": (
        "respawn",
        "what to do if a file leaves a dialog or a nested loop open: note or respawn",
    ),
    "inject": (
        "auto",
        "which apps to watch without changes to them: auto (those that do not call livegui.start()), true "
        "(any), or false",
    ),
    "library_pools": (
        "false",
        "in an app without changes, report also what pools refuse to the code of packages, not only to the "
        "app's own: true or false",
    ),
    "kill_stale": (
        "false",
        "kill an app that an earlier run of yours left on the port, but never a foreign process: true "
        "or false",
    ),
    "run_dir": (".livegui", "where run folders go; those of the last 10 sessions are kept"),
    "report": ("true", "write report.html into the run folder: true or false"),
    "screenshot": (
        "on_failure",
        "when to take a picture of the app: on_failure, always (after every test) or never",
    ),
    "output_limit": (
        "16M",
        "how much to keep of a process's stdout, and of its stderr: the head and the tail",
    ),
}


def add(parser: pytest.Parser) -> None:
    """Register every option, for the configuration file and for the command line."""
    group = parser.getgroup("live_gui", "tests of one long-lived GUI app (livegui)")
    for name, (default, what) in OPTIONS.items():
        parser.addini(f"live_gui_{name}", f"{what} (default: {default or 'none'})", default=default)
        group.addoption(
            f"--live-gui-{name.replace('_', '-')}",
            dest=f"live_gui_{name}",
            default=None,
            metavar=name.upper(),
            help=what,
        )


def option(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"live_gui_{name}")
    return str(config.getini(f"live_gui_{name}") if given is None else given)


def number(config: pytest.Config, name: str) -> float:
    text = option(config, name)
    try:
        return float(text)
    except ValueError:
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a number") from None


def count(config: pytest.Config, name: str) -> int:
    text = option(config, name)
    if not text.isascii() or not text.isdigit():
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a whole number, 0 or more")
    return int(text)


def flag(config: pytest.Config, name: str) -> bool:
    text = option(config, name)
    if text.lower() not in ("true", "false"):
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected true or false")
    return text.lower() == "true"
