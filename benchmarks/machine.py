"""What the benchmarks need of a machine: processes, an upstream and a load generator."""

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from load import Load

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.loopback import HOST
from support.nginx import configure_nginx, find_program, nginx_command
from support.process import succeed
from support.rendering import render
from support.repository import ROOT
from support.service import Service

RESULTS = Path(__file__).with_name("results")
# The service has the first core to itself; the upstream and the load generator share the others.
CORES = sorted(os.sched_getaffinity(0))
SERVICE_CORES = set(CORES[:1])
OTHER_CORES = set(CORES[1:]) or SERVICE_CORES
# Ends the processes of a benchmark together with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

# Files from memory, so that the upstream costs as little as possible.
STATIC = """
    open_file_cache max=10;
    sendfile on;
    types {{ }}
    default_type application/json;
    server {{
        listen {host}:{port};
        root {directory};
        location /upload {{ # reads the whole body, then answers with a small file
            client_max_body_size 100m;
            client_body_buffer_size 2m;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://{host}:{port}/small;
        }}
    }}
"""
HUGE_BYTES = 10_000_000


def parser(about: str | None, name: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--output", default=name, help="name of the result files, without a suffix")
    return made


class Process(Service):
    """A service on a core of its own, whose output is discarded."""

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

    def __enter__(self) -> Self:
        super().__enter__()
        RUNNING.add(self)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        RUNNING.discard(self)

    def cpu_s(self) -> float:
        """Return the processor time used so far, in seconds."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it is idle, so that its backlog does not slow the next measurement."""
        deadline = time.monotonic() + 60
        before = self.cpu_s() - 1
        while self.cpu_s() - before > 0.03 and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.3)

    def descriptors(self) -> int:
        """Return the number of open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_mib(self) -> float:
        """Return the resident memory, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(resident) / 1024


RUNNING: set[Process] = set()
LOAD = Load(lambda: sum(process.cpu_s() for process in RUNNING))


def progress(text: str) -> float:
    """Print what was measured and the load since the last line; return the others' share."""
    others = LOAD.sample()
    print(f"{text} (other processes: {others:.0f}% CPU)", file=sys.stderr, flush=True)
    return others


def on(cores: set[int]) -> list[str]:
    """Return the words that run a command on these cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[str]:
    """Run an upstream that responds immediately; yields its base URL."""
    directory.mkdir()
    (directory / "livez").touch()
    (directory / "small").write_text('{"name": "an answer as most are", "number": 12345}\n')
    (directory / "large").write_text(json.dumps(["0123456789abcdef"] * 5120))
    (directory / "huge").write_bytes(bytes(HUGE_BYTES))
    upstream = Process(nginx_command(directory), cores=OTHER_CORES)
    configure_nginx(directory, STATIC.format(directory=directory, host=HOST, port=upstream.port))
    with upstream:
        yield upstream.url


def run_wrk(url: str, callers: int, seconds: int, upload_bytes: int = 0) -> dict[str, Any]:
    """Generate load from concurrent callers, each with one connection."""
    printed = succeed(
        Path.cwd(),
        *on(OTHER_CORES),
        *(find_program("wrk"), "--threads=1", f"--connections={callers}", f"--duration={seconds}s"),
        *("--timeout=60s", f"--script={Path(__file__).with_name('wrk.lua')}", url),
        *(["--", str(upload_bytes)] if upload_bytes else []),
    )
    measured: dict[str, Any] = json.loads(printed.rstrip().rpartition("\n")[2])
    measured["requests"] -= measured["not_2xx"]  # errors are faster than successes
    measured["seconds"] = measured.pop("duration_us") / 1e6
    measured["per_s"] = measured["requests"] / measured["seconds"]
    return measured


def call_service(
    process: Process, path: str, callers: int, seconds: int, upload_bytes: int = 0
) -> dict[str, Any]:
    """Generate load on a service, and measure its processor time and memory as well."""
    before = process.cpu_s()
    measured = run_wrk(f"{process.url}{path}", callers, seconds, upload_bytes)
    measured["cpu_s"] = process.cpu_s() - before
    measured["memory_mib"] = process.memory_mib()
    process.settle()
    return measured


def rendered(directory: Path, **answers: object) -> Path:
    """Render a project with these answers; return its directory."""
    return render(ROOT, directory, answers, hooks=False)


def require(*names: str) -> None:
    """Exit with an install command if a program is missing."""
    if missing := [name for name in names if not Path(find_program(name)).is_absolute()]:
        packages = " ".join({"nginx": "nginx-light"}.get(name, name) for name in missing)
        sys.exit(f"Missing: {', '.join(missing)}. On Debian: apt-get install {packages}")


def publish(
    name: str | Path, results: dict[str, Any], report: Callable[[dict[str, Any]], str]
) -> None:
    """Write results as JSON with a description of the machine and its load, and print them."""
    results = {"machine": description(), "load": LOAD.summary(), **results}
    text = json.dumps(results, indent=1, ensure_ascii=False)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    print(f"{report(results)}\n\n{conditions(results)}")


def conditions(results: dict[str, Any]) -> str:
    """Return which Python ran, and how busy the machine was with other work."""
    python, load = results["machine"]["Python"], results["load"]
    return (
        f"Python {python}. Load average before the run: {load['average_before']:.2f}. "
        f"CPU used by other processes during it: {load['others_median_percent']:.1f}% (median), "
        f"{load['others_most_percent']:.1f}% at most."
    )


def saved(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def table(*rows: Iterable[object]) -> str:
    """Format rows as a Markdown table; the first is its head."""
    head, *others = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *others])


def description() -> dict[str, str]:
    """Describe the machine and the versions."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = re.findall(r"model name\s*: (.*)", processors) or [platform.machine()]
    packages = ("fastapi", "uvicorn", "uvloop", "httptools", "httpx", "httpx2", "aiohttp")
    return {
        "processor": f"{models[0]}, {len(CORES)} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
