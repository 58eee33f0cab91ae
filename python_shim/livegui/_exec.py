"""``os.exec*`` of a watched app: the program that takes its place is the app again, and so is watched too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from livegui._bootstrap import PATH

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from livegui._inject import Injection

#: What else the agent of the next program needs, to report to the same place in the same way.
_OF_AGENT = (
    "LIVEGUI_CALLBACK_ERRORS",
    "LIVEGUI_EXECUTOR_STALL_MS",
    "LIVEGUI_EXEC_PORT",
    "LIVEGUI_EXEC_RUN_DIR",
    "LIVEGUI_JOURNAL",
    "LIVEGUI_PARENT",
    "LIVEGUI_PORT",
    "LIVEGUI_RUN_DIR",
    "LIVEGUI_STALL_AFTER_MS",
    "LIVEGUI_STARTUP_MS",
    "LIVEGUI_TOKEN",
)
_PYTHONPATH = "PYTHONPATH"


def watch_exec(injection: Injection, taken: dict[str, str]) -> None:
    """Pass on what makes a Python watch.

    Args:
        injection: that of this process, whose agent has started.
        taken: what was removed from the environment.
    """
    passing = _Passing(taken)
    injection.wrap(os, "execv", passing.execv)
    injection.wrap(os, "execve", passing.execve)


class _Passing:
    def __init__(self, taken: dict[str, str]) -> None:
        self._pid = os.getpid()
        self._ours = {name: value for name, value in taken.items() if name != _PYTHONPATH}
        self._of_agent = {name: os.environ[name] for name in _OF_AGENT if name in os.environ}

    def execv(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def execv(*arguments: Any, **options: Any) -> Any:
            ours = self._with_ours(os.environ)
            before = {name: os.environ.get(name) for name in ours}
            try:
                os.environ.update(ours)
                return original(*arguments, **options)
            finally:  # it failed
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value

        return execv

    def execve(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def execve(*arguments: Any, **options: Any) -> Any:
            if len(arguments) > 2:
                arguments = (*arguments[:2], self._extended(arguments[2]), *arguments[3:])
            elif "env" in options:
                options = {**options, "env": self._extended(options["env"])}
            return original(*arguments, **options)

        return execve

    def _extended(self, environment: Any) -> Any:
        """An environment with our variables, or as it is if it is none, so that Python says what is wrong."""
        try:
            names = {os.fsdecode(name): name for name in environment.keys()}  # noqa: SIM118 -- as Python checks it
            ours = self._with_ours({name: os.fsdecode(environment[key]) for name, key in names.items()})
            given = {key: environment[key] for name, key in names.items() if name not in ours}
        except Exception:  # noqa: BLE001 -- whatever an object of the app raises, Python meets it too
            return environment
        return {**given, **ours}

    def _with_ours(self, environment: Any) -> dict[str, str]:
        """What to set in an environment."""
        if os.getpid() != self._pid:  # the child of a fork is not the app
            return {}
        missing = {name: value for name, value in self._of_agent.items() if name not in environment}
        ours = self._ours | missing
        if PATH in ours:
            path = environment.get(_PYTHONPATH)
            ours[_PYTHONPATH] = os.pathsep.join([ours[PATH], path] if path else [ours[PATH]])
        return ours
