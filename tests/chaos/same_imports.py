"""Imports and uses popular libraries in an unchanged app, once watched by livegui and once not.

    python tests/chaos/same_imports.py [LIBRARY...]

Before a loop, both must have the same modules, warnings, output, ``sys.path`` and hooks. After a loop, when the agent
runs and the environment is cleaned, they must have the same modules but for the standard library's, from the same
files, and the same environment, which a child sees. Libraries that are not installed are named, and it fails.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import livegui

CARRIER = Path(livegui.__file__).parent / "_carrier"
#: The most downloaded ones, and a line that uses each.
LIBRARIES = {
    "boto3": "boto3.session.Session(region_name='x')",
    "botocore": "__import__('botocore.session').session.get_session()",
    "urllib3": "urllib3.PoolManager()",
    "requests": "requests.Session().close()",
    "certifi": "certifi.where()",
    "idna": "idna.encode('ü.de')",
    "charset_normalizer": "charset_normalizer.from_bytes(b'x').best()",
    "typing_extensions": "typing_extensions.TypedDict",
    "setuptools": "setuptools.find_packages()",
    "packaging": "__import__('packaging.version').version.Version('1')",
    "dateutil": "__import__('dateutil.parser').parser.parse('2020-01-01')",
    "six": "six.moves.urllib.parse.quote('x')",
    "yaml": "yaml.safe_load('a: 1')",
    "numpy": "numpy.arange(3).sum()",
    "pandas": "pandas.DataFrame({'a': [1]}).sum()",
    "pydantic": "pydantic.create_model('M', a=(int, 1))()",
    "s3transfer": "s3transfer.S3Transfer",
    "cryptography": "__import__('cryptography.fernet').fernet.Fernet.generate_key()",
    "cffi": "cffi.FFI()",
    "click": "click.Command('x')",
    "attr": "attr.make_class('C', ['a'])(1)",
    "jinja2": "jinja2.Template('{{ 1 }}').render()",
    "markupsafe": "markupsafe.escape('<')",
    "fsspec": "fsspec.filesystem('memory')",
    "pyasn1": "__import__('pyasn1.type.univ').type.univ.Integer(1)",
    "rich": "__import__('rich.console').console.Console()",
    "aiohttp": "aiohttp.ClientTimeout()",
    "sqlalchemy": "sqlalchemy.create_engine('sqlite://').connect().close()",
    "google.protobuf": "__import__('google.protobuf.struct_pb2').protobuf.struct_pb2.Struct()",
    "flask": "flask.Flask('x').test_client()",
    "fastapi": "fastapi.FastAPI()",
    "httpx": "httpx.Client().close()",
    "tqdm": "list(tqdm.tqdm([1], disable=True))",
    "pytz": "pytz.timezone('UTC')",
    "lxml": "__import__('lxml.etree').etree.fromstring('<a/>')",
    "PIL": "__import__('PIL.Image').Image.new('L', (1, 1))",
    "psutil": "psutil.Process()",
    "anyio": "anyio.Path()",
    "tornado": "__import__('tornado.ioloop').ioloop.IOLoop(make_current=False).close()",
    "importlib_metadata": "importlib_metadata.version('pip')",
}
#: Without ``__future__``, which has no code, and which each of our modules names.
SEEN = """
import sys
print(*sorted(name for name in sys.modules if not name.startswith("livegui") and name != "__future__"), sep="\\n")
print(sys.path, [type(finder).__name__ for finder in sys.meta_path if not type(finder).__module__.startswith("livegui")])
print(sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__)
print([thread.name for thread in sys.modules["threading"].enumerate()] if "threading" in sys.modules else [])
"""
#: After a loop: the agent uses more of the standard library, and a thread and the hooks of its own.
LOOPED = """
import asyncio, os, subprocess, sys
asyncio.run(asyncio.sleep(0))
if os.environ.pop("LIVEGUI_RUN_DIR"):
    assert "livegui._attach" in sys.modules, "there is no agent"
shown = {
    name: getattr(module, "__file__", None)
    for name, module in sys.modules.items()
    if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("livegui")
}
print(*sorted(shown.items(), key=str), sep="\\n")
print(sys.path, [type(finder).__name__ for finder in sys.meta_path if not type(finder).__module__.startswith("livegui")])
print(*sorted(os.environ.items()), sep="\\n")
child = "import os, sys; print(*sys.path, *sorted(sys.modules), *sorted(os.environ.items()), sep='\\\\n')"
sys.stdout.flush()
subprocess.run([sys.executable, "-c", child])
"""


def seen(library: str, use: str, then: str, environment: dict[str, str]) -> tuple[int, str, str]:
    """The result of an app with this library."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    command = [sys.executable, "-W", "always", "-c", f"import {library}\n{use}\n{then}"]
    done = subprocess.run(command, env=given | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def main() -> None:
    """Try all of them."""
    peers = os.environ.get("PYTHONPATH", "")
    injected = {
        "LIVEGUI_INJECT": "auto",
        "LIVEGUI_INJECT_PATH": str(CARRIER),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CARRIER), peers])),
    }
    same: list[str] = []
    differing: list[str] = []
    missing: list[str] = []
    for library, use in LIBRARIES.items():
        if sys.argv[1:] and library not in sys.argv[1:]:
            continue
        if importlib.util.find_spec(library.partition(".")[0]) is None:
            missing.append(library)
        elif not fails_by_itself(library, use):
            results = [is_same(library, use, state, then, injected) for state, then in STATES.items()]
            (same if all(results) else differing).append(library)
        else:
            missing.append(library)
    print(f"  {len(same)} the same, {len(differing)} differ, not tried: {', '.join(missing) or 'none'}")
    sys.exit(bool(differing or missing))


STATES = {"before a loop": SEEN, "after a loop": LOOPED}


def fails_by_itself(library: str, use: str) -> bool:
    """Whether it cannot be used here, watched or not."""
    status, _, err = seen(library, use, "", {})
    if status != 0:
        print(f"  {library} fails by itself: {err.strip().splitlines()[-1]}")
    return status != 0


def is_same(library: str, use: str, state: str, then: str, injected: dict[str, str]) -> bool:
    """Whether an app with this library looks the same when it is watched."""
    with tempfile.TemporaryDirectory() as name:
        plain = seen(library, use, then, {"LIVEGUI_RUN_DIR": ""})
        watched = seen(library, use, then, injected | {"LIVEGUI_RUN_DIR": name})
    if plain != watched:
        before, after = ((str(status) + out + err).splitlines() for status, out, err in (plain, watched))
        changes = difflib.unified_diff(before, after, n=0, lineterm="")
        print(f"  {library} differs {state}:", *list(changes)[2:22], sep="\n    ")
    return plain == watched


if __name__ == "__main__":
    main()
