"""The machine of the benchmarks: processes on cores, an upstream in C, a load generator in C."""

import argparse
import contextlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.loopback import HOST
from support.nginx import configure_nginx, find_program, nginx_command
from support.process import succeed
from support.rendering import render
from support.repository import ROOT
from support.service import Service

RESULTS = Path(__file__).with_name("results")
# A service has the first core for itself; the upstream and the load share the others.
CORES = sorted(os.sched_getaffinity(0))
SERVICE_CORES = set(CORES[:1])
OTHER_CORES = set(CORES[1:]) or SERVICE_CORES
# So that the processes that a benchmark has started end with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

# Files from memory, as an upstream that costs as little as it can.
STATIC = """
    open_file_cache max=10;
    sendfile on;
    types {{ }}
    default_type application/json;
    server {{
        listen {host}:{port};
        root {directory};
    }}
"""


def parser(about: str | None, name: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--output", default=name, help="where results go, without a suffix")
    return made


class Process(Service):
    """A service on its own core, whose output is discarded."""

    output = subprocess.DEVNULL

    def __init__(
        self,
        command: Sequence[str | Path],
        directory: Path | None = None,
        cores: set[int] = SERVICE_CORES,
        **environment: str,
    ) -> None:
        super().__init__([*on(cores), *command], directory or Path.cwd(), **environment)
        self.url = f"http://{HOST}:{self.port}"

    def cpu_s(self) -> float:
        """Return the processor time so far, in seconds."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it is idle, so that one measurement does not burden the next."""
        deadline = time.monotonic() + 60
        before = self.cpu_s() - 1
        while self.cpu_s() - before > 0.03 and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.3)

    def descriptors(self) -> int:
        """Return the number of open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_mib(self) -> float:
        """Return the resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(resident) / 1024


def on(cores: set[int]) -> list[str]:
    """Return the prefix of a command that pins it to these cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[str]:
    """Run an upstream that answers immediately; yield its base URL."""
    directory.mkdir()
    (directory / "livez").touch()
    (directory / "small").write_text('{"name": "an answer as most are", "number": 12345}\n')
    (directory / "large").write_text(json.dumps(["0123456789abcdef"] * 5120))
    upstream = Process(nginx_command(directory), cores=OTHER_CORES)
    configure_nginx(directory, STATIC.format(directory=directory, host=HOST, port=upstream.port))
    with upstream:
        yield upstream.url


def run_wrk(url: str, callers: int, seconds: int) -> dict[str, Any]:
    """Load a URL by callers that each repeat calls on one connection."""
    printed = succeed(
        Path.cwd(),
        *on(OTHER_CORES),
        *(find_program("wrk"), "--threads=1", f"--connections={callers}", f"--duration={seconds}s"),
        *("--timeout=60s", f"--script={Path(__file__).with_name('wrk.lua')}", url),
    )
    measured: dict[str, Any] = json.loads(printed.rstrip().rpartition("\n")[2])
    measured["requests"] -= measured["refused"]  # errors are returned faster than answers
    measured["per_s"] = measured["requests"] / measured.pop("duration_us") * 1e6
    return measured


def rendered(directory: Path, **answers: object) -> Path:
    """Render a project with these answers; return its directory."""
    return render(ROOT, directory, answers, hooks=False)


def require(*names: str) -> None:
    """Exit with the install command if a program is missing."""
    if missing := [name for name in names if not Path(find_program(name)).is_absolute()]:
        packages = " ".join({"nginx": "nginx-light"}.get(name, name) for name in missing)
        sys.exit(f"Missing: {', '.join(missing)}. On Debian: apt-get install {packages}")


def save(name: str | Path, results: dict[str, Any]) -> None:
    """Save figures and the machine's description as JSON."""
    text = json.dumps({"machine": description(), **results}, indent=1, ensure_ascii=False)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def saved(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def table(*rows: Iterable[object]) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *others = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *others])


def description() -> dict[str, str]:
    """Describe the machine."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = re.findall(r"model name\s*: (.*)", processors) or [platform.machine()]
    packages = ("fastapi", "uvicorn", "uvloop", "httptools", "httpx", "httpx2", "aiohttp")
    return {
        "processor": f"{models[0]}, {len(CORES)} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
