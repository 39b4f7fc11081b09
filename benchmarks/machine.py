"""What the benchmarks need of a machine: processes, an upstream in C, a load generator in C."""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parent.parent
sys.path.insert(0, str(TEMPLATE))

from support.loopback import HOST, Service  # noqa: E402 - found by the line above

RESULTS = Path(__file__).with_name("results")
# A service has the first core for itself; the upstream and the load share the others.
CORES = sorted(os.sched_getaffinity(0))
SERVICE_CORES = set(CORES[:1])
OTHER_CORES = set(CORES[1:]) or SERVICE_CORES
# So that the processes that a benchmark has started end with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/errors;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/a;
    proxy_temp_path {directory}/b;
    fastcgi_temp_path {directory}/c;
    uwsgi_temp_path {directory}/d;
    scgi_temp_path {directory}/e;
    open_file_cache max=10;
    sendfile on;
    types {{ }}
    default_type application/json;
    server {{
        listen {host}:{port};
        root {directory};
    }}
}}
"""


def parser(about: str | None, name: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--output", default=name, help="where results go, without a suffix")
    return made


class Process(Service):
    """A service with one core for itself, whose output nobody reads."""

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
        """Processor time so far, in seconds."""
        told = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        user, system = told.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it is idle: what its callers left behind must not burden the next."""
        deadline = time.monotonic() + 60
        before = self.cpu_s() - 1
        while self.cpu_s() - before > 0.03 and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.3)

    def descriptors(self) -> int:
        """Files and sockets that are open now."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def memory_mib(self) -> float:
        """Memory that is resident now."""
        told = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", told)
        return int(resident) / 1024


def on(cores: set[int]) -> list[str]:
    """The beginning of a command that is to run on these cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[str]:
    """An upstream that answers at once; yields its base URL."""
    directory.mkdir()
    (directory / "livez").touch()
    (directory / "small").write_text('{"name": "an answer as most are", "number": 12345}\n')
    (directory / "large").write_text(json.dumps(["0123456789abcdef"] * 5120))
    configuration = directory / "nginx.conf"
    command = [program("nginx"), "-e", "stderr", "-p", str(directory), "-c", str(configuration)]
    upstream = Process(command, cores=OTHER_CORES)
    configuration.write_text(NGINX.format(directory=directory, host=HOST, port=upstream.port))
    with upstream:
        yield upstream.url


def run_wrk(url: str, callers: int, seconds: int) -> dict[str, Any]:
    """Load from so many callers, each with one connection that calls again and again."""
    done = subprocess.run(
        [
            *on(OTHER_CORES),
            *(program("wrk"), "--threads=1", f"--connections={callers}", f"--duration={seconds}s"),
            *("--timeout=60s", f"--script={Path(__file__).with_name('wrk.lua')}", url),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    told["requests"] -= told["refused"]  # an answer that is an error is soon given
    told["per_s"] = told["requests"] / told.pop("duration_us") * 1e6
    return told


def rendered(directory: Path, *answers: str) -> Path:
    """A project that the template writes with these answers."""
    options = ["--no-input", "--default-config", "--accept-hooks=no", f"--output-dir={directory}"]
    command = [sys.executable, "-m", "cookiecutter", *options, str(TEMPLATE), *answers]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return directory / "my-service"


def upstream_of(project: Path) -> Any:
    """The server that misbehaves on request, from the project's tests."""
    spec = importlib.util.spec_from_file_location("upstream", project / "tests/upstream.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Upstream


def program(name: str) -> str:
    """Where a program is, which may be where only root's PATH looks."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or name


def require(*names: str) -> None:
    """End with what to type where a program is missing."""
    if missing := [name for name in names if not Path(program(name)).is_absolute()]:
        packages = " ".join({"nginx": "nginx-light"}.get(name, name) for name in missing)
        sys.exit(f"Missing: {', '.join(missing)}. On Debian: apt-get install {packages}")


def save(name: str | Path, results: dict[str, Any]) -> None:
    """Keep figures, with what they were measured on, as JSON."""
    text = json.dumps({"machine": description(), **results}, indent=1, ensure_ascii=False)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def saved(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def table(*rows: Iterable[object]) -> str:
    """Rows as a table in Markdown, the first of which is its head."""
    head, *others = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *others])


def description() -> dict[str, str]:
    """What the figures were measured on."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = re.findall(r"model name\s*: (.*)", processors) or [platform.machine()]
    packages = ("fastapi", "uvicorn", "uvloop", "httptools", "httpx", "httpx2", "aiohttp")
    return {
        "processor": f"{models[0]}, {len(CORES)} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
