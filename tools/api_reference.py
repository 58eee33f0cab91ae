"""Write ``docs/api.md`` from signatures and docstrings. ``dev.py fmt`` runs this, ``lint`` checks it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIM = ROOT / "python_shim" / "livegui"
PAGE = ROOT / "docs" / "api.md"
#: The parts of the page: a heading, the module, and the names to show of it (None for all).
PARTS = (
    ("In the app", "_attach.py", ("start", "Agent")),
    ("In a test", "_handle.py", ("LiveGui", "GuiProcess")),
    ("Errors", "errors.py", None),
    ("Fixtures", "pytest_plugin.py", ("live_gui", "live_gui_command", "live_gui_env")),
)
HEAD = """# API reference

Made from the signatures and docstrings by `python3 dev.py fmt`. Options and environment variables are in
[configuration](configuration.md), the JSON of records and of `/health` in [schemas](schemas).
"""

_Definition = ast.FunctionDef | ast.ClassDef


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for heading, file, names in PARTS:
        parts.append(f"## {heading}\n")
        tree = ast.parse((SHIM / file).read_text(encoding="utf-8"))
        for found in _definitions(tree.body):
            if names is None or found.name in names:
                parts += _entry(found, "###")
    parts.append("## Toolkits\n")
    parts.append("`from livegui.toolkits import NAME`; each says more in its own docstring.\n")
    for toolkit in sorted((SHIM / "toolkits").glob("[a-z]*.py")):
        for found in _definitions(ast.parse(toolkit.read_text(encoding="utf-8")).body):
            if isinstance(found, ast.FunctionDef):
                parts += _entry(found, "###", f"toolkits.{toolkit.stem}.")
    return "\n".join(parts)


def _definitions(body: list[ast.stmt]) -> Iterator[_Definition]:
    for found in body:
        if not isinstance(found, ast.FunctionDef | ast.ClassDef) or found.name.startswith("_"):
            continue
        if ast.get_docstring(found):
            yield found


def _entry(found: _Definition, level: str, before: str = "") -> Iterator[str]:
    yield f"{level} {_kind(found)}`{before}{found.name}`\n"
    if not isinstance(found, ast.ClassDef):
        yield f"```python\n{_signature(found)}\n```\n"
    yield _markdown(ast.get_docstring(found) or "") + "\n"
    if isinstance(found, ast.ClassDef):
        for member in _definitions(found.body):
            yield from _entry(member, level + "#", f"{_short(found.name)}.")


def _short(name: str) -> str:
    """The name of an object of a class in examples."""
    return {"Agent": "agent", "LiveGui": "live_gui", "GuiProcess": "live_gui.process"}.get(name, name)


def _decorators(found: _Definition) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0] for decorator in found.decorator_list}


def _kind(found: _Definition) -> str:
    return "class " if isinstance(found, ast.ClassDef) else ""


def _signature(found: ast.FunctionDef) -> str:
    returns = ast.unparse(found.returns) if found.returns else "Any"
    if _decorators(found) & {"property", "pytest.fixture"}:
        given = re.sub(r"^(?:Iterator|Generator)\[([^,\]]*).*$", r"\1", returns)
        return f"{found.name}: {given}"
    if _decorators(found) & {"contextmanager"}:
        returns = "ContextManager"
    arguments = list(_arguments(found.args))
    line = f"{found.name}({', '.join(arguments)}) -> {returns}"
    if len(line) <= 100:
        return line
    indented = "".join(f"    {argument},\n" for argument in arguments)
    return f"{found.name}(\n{indented}) -> {returns}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """Each argument as it is written."""
    positional = arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    for argument, default in zip(positional, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield ast.unparse(argument) + (f" = {ast.unparse(value)}" if value else "")


def _markdown(docstring: str) -> str:
    """Convert a docstring: its sections to lists, and its roles to code."""
    text = inspect.cleandoc(docstring)
    text = re.sub(r":(?:func|meth|attr|class):`([^`]+)`", r"`\1`", text).replace("``", "`")
    lines = []
    section = ""
    for line in text.splitlines():
        named = re.fullmatch(r"(Args|Returns|Raises|Attributes):", line)
        if named:
            section = named[1]
            lines += [f"**{section}**", ""]
        elif section and not line:
            section = ""
            lines.append(line)
        elif section and section != "Returns":
            name, colon, rest = line.strip().partition(": ")
            is_first = re.match(r"    \S", line) and colon and " " not in name
            lines.append(f"- `{name}`: {rest}" if is_first else f"  {line.strip()}")
        else:
            lines.append(line.strip() if section else line)
    return "\n".join(lines)


def main() -> None:
    """Write the page. With ``--check``, fail if it is not up to date."""
    wanted = page()
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{PAGE.relative_to(ROOT)} is not what the docstrings say: python3 dev.py fmt writes it")


if __name__ == "__main__":
    main()
