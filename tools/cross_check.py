"""Run ``cargo check`` for other systems, on a Debian machine: ``python3 dev.py cross``.

A check builds and links nothing, so it needs no linker or libraries of the other system. The compiler still
checks all code that a ``cfg`` selects for that system.
"""

from __future__ import annotations

from collections.abc import Callable

from tools import debian

TARGETS = (
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    # The wheels are built like this; `dev.py windows` builds for the other C library.
    "x86_64-pc-windows-msvc",
)


def check(say: Callable[[str], None], targets: list[str]) -> None:
    """Check the library, with and without Python, for each target."""
    folder = debian.cache() / "cross"
    debian.install(debian.RUST, say, folder / "apt.log")
    for target in targets or TARGETS:
        say(f"cargo check for {target}")
        features = ["--features", "python,pyo3/extension-module"]
        env = {"PYO3_CROSS_PYTHON_VERSION": "3.11"}
        debian.cargo(target, folder / "target", "check", ["--lib", *features], env)
        debian.cargo(target, folder / "target", "check", ["--lib"], env)
