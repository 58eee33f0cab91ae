"""Where marks go in test files, for ``livegui audit --fix``: ``python -m livegui._outline FILE...``.

Prints a JSON object with one outline for each file. Lines count from 1; columns, in bytes of UTF-8, from 0.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any


def outline(source: str) -> dict[str, Any]:
    """What must be known of a module to add marks to it."""
    body = ast.parse(source).body
    found: dict[str, Any] = {"head": 0, "docstring": False, "pytest": None, "pytestmark": None, "tests": {}}
    for number, node in enumerate(body):
        docstring = number == 0 and _is_docstring(node)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            found |= {"head": node.end_lineno, "docstring": docstring}
        if isinstance(node, ast.Import):
            names = {alias.name: alias.asname or alias.name for alias in node.names}
            found["pytest"] = names.get("pytest", found["pytest"])
        value = _pytestmark(node)
        if value is not None:
            found["pytestmark"] = _span(value)
    for name, line, column in _tests(body, ""):
        found["tests"][name] = {"line": line, "column": column}
    return found


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _pytestmark(node: ast.stmt) -> ast.expr | None:
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        return None
    named = any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)
    return node.value if named else None


def _span(value: ast.expr) -> dict[str, Any]:
    last = value.elts[-1] if isinstance(value, ast.List) and value.elts else None
    end = last or value
    return {
        "list": isinstance(value, ast.List),
        "empty": isinstance(value, ast.List) and last is None,
        "start": [value.lineno, value.col_offset],
        "end": [end.end_lineno, end.end_col_offset],
    }


def _tests(body: list[ast.stmt], prefix: str) -> list[tuple[str, int, int]]:
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.append((prefix + node.name, first, node.col_offset))
        elif isinstance(node, ast.ClassDef):
            found += _tests(node.body, f"{prefix}{node.name}::")
    return found


def main() -> None:
    """Print the outlines of the files named on the command line."""
    outlines: dict[str, Any] = {}
    for name in sys.argv[1:]:
        try:
            outlines[name] = outline(Path(name).read_bytes().decode())
        except (OSError, ValueError, SyntaxError) as error:
            outlines[name] = {"error": str(error)}
    print(json.dumps(outlines))


if __name__ == "__main__":
    main()
