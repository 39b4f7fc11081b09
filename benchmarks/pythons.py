"""What does the newest Python of the machine bring?

Central contenders of the throughput benchmark, side by side on the Python of `make bench` and on
the newest one that is installed, with the same versions of all packages.
"""

import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from machine import nginx, parser, publish, rendered, require, table
from rounds import ratios, show
from throughput import SERVICE, callers_label, measure, processes, rates

from support.process import clean_environment, succeed
from support.repository import ROOT

CONTENDERS = [
    "one shared httpx.AsyncClient",
    "one shared aiohttp.ClientSession",
    "no outbound call",
    SERVICE,
]


def main() -> None:
    options = parser(__doc__, "pythons")
    options.add_argument("--seconds", type=int, default=2, help="length of each measurement")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--callers", type=int, nargs="+", default=[16, 64])
    options.set_defaults(bodies=["small"])
    arguments = options.parse_args()
    require("nginx", "wrk")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(directory / "nginx"))
        pythons = {platform.python_version(): Path(sys.executable)}
        version, newest = find_newest()
        if version.split(".")[:2] != platform.python_version().split(".")[:2]:
            pythons[version] = install(newest, directory)
        own = {
            python: processes(directory / python, upstream, CONTENDERS, path)
            for python, path in pythons.items()
        }
        contenders = {
            f"{name}, Python {python}": stack.enter_context(own[python][name])
            for name in CONTENDERS
            for python in pythons
        }
        cells = measure(contenders, upstream, arguments)
    publish(arguments.output, {"pythons": list(pythons), "cells": cells}, report)


def find_newest() -> tuple[str, str]:
    """Return the version and path of the newest Python, on the PATH, of pyenv or of uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = [*map(str, pyenv.glob("versions/*/bin")), clean_environment()["PATH"]]
    listing = ("uv", "python", "list", "--only-installed", "--output-format", "json")
    found = json.loads(succeed(Path.cwd(), *listing, PATH=os.pathsep.join(path)))
    released = [
        each
        for each in found
        if (each["implementation"], each["variant"]) == ("cpython", "default")
        and each["version"].replace(".", "").isdigit()
    ]
    own = {"version": platform.python_version(), "path": sys.executable}
    newest = max(released, key=lambda each: list(each["version_parts"].values()), default=own)
    return newest["version"], newest["path"]


def install(python: str, directory: Path) -> Path:
    """Install the contenders' packages for a Python; return the environment's own."""
    print(f"Installing the packages for {python}", file=sys.stderr)
    environment = directory / "environment"
    installed = environment / "bin/python"
    project = rendered(directory / "requirements", http_transport="aiohttp")
    succeed(project, "uv", "venv", "--quiet", "--python", python, environment)
    install = ("uv", "pip", "install", "--quiet", "--python", installed)
    requirements = ("--requirements", "pyproject.toml", "aiohttp", "httpx", "httpx2")
    succeed(project, *install, "--constraints", ROOT / "requirements.txt", *requirements)
    return installed


def report(results: dict[str, Any]) -> str:
    parts = ["Requests per second, with a small JSON document:", rates(results, "small")]
    oldest, *newer = results["pythons"]
    if not newer:
        return "\n\n".join([*parts, f"No Python newer than {oldest} is installed."])
    (newest,) = newer
    found = {(cell["contender"], cell["callers"]): cell for cell in results["cells"]}
    callers = list(dict.fromkeys(number for _, number in found))
    rows = []
    for name in CONTENDERS:
        new, old = (f"{name}, Python {python}" for python in (newest, oldest))
        times = (ratios(found[new, number], found[old, number], "per_s") for number in callers)
        rows.append([name, *map(show, times)])
    head = (callers_label(number) for number in callers)
    title = f"Python {newest}, as a multiple of {oldest}"
    return "\n\n".join([*parts, table([title, *head], *rows)])


if __name__ == "__main__":
    main()
