"""``cargo check`` for systems that this machine is not, on a Debian machine: ``python3 dev.py cross``.

It compiles and links nothing, so it needs no other system's linker or libraries; what is ``cfg`` for them is
read by the compiler all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from tools import debian

TARGETS = (
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    # As the wheels are built: `dev.py windows` builds for the other C library.
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
