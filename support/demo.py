"""The demo: write a service, run it, call an upstream through it, stop it."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from support.loopback import RecordingUpstream
from support.process import BrokenPromiseError, run
from support.service import Service

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PROJECT = BUILD / "my-service"
CALLS = 5
SHOWN = ("upstream", "client_id", "status", "attempts", "duration_ms", "is_closed")


def main() -> None:
    heading("1. Write the default service")
    shutil.rmtree(BUILD, ignore_errors=True)
    do("cookiecutter . --no-input --default-config --output-dir build", ROOT)

    heading("2. Install it")
    say("cd build/my-service", "$")
    do("uv sync --quiet", PROJECT)

    with RecordingUpstream() as upstream:
        heading("3. Run it, with a small upstream on this machine instead of httpbin")
        variable = "APP_UPSTREAMS__HTTPBIN__BASE_URL"
        say(f"export {variable}={upstream.base_url}", "$")
        say("uv run my-service", "$")
        command = ["uv", "run", "--no-sync", "my-service"]
        with Service(command, PROJECT, **{variable: upstream.base_url}) as service:
            heading(f"4. Call the upstream {CALLS} times through the service")
            for _ in range(CALLS):
                call(service, upstream)
            expect(len(upstream.paths) == CALLS, f"the upstream saw {len(upstream.paths)} calls")
            expect(upstream.connections == 1, f"it took {upstream.connections} connections")
            say(f"The upstream saw {CALLS} requests on 1 connection.")

            heading("5. Stop it")
            service.stop()
            say("SIGTERM: the service finished its calls and stopped.")
            say("What it logged about its client:\n")
            show_that_one_client_served_all(service.events)
            expect(service.finished, "it was cut off")

    heading("All as promised. To run it yourself")
    say("cd build/my-service", "$")
    say(".venv/bin/my-service", "$")
    say("Then open http://127.0.0.1:8000/docs")
    say("Where uv is installed, `make run` is the same with logs for people.")


def call(service: Service, upstream: RecordingUpstream) -> None:
    started = time.perf_counter()
    answer = service.get("/external")
    milliseconds = (time.perf_counter() - started) * 1000
    say(f"GET /external  {answer.status}  {milliseconds:4.1f} ms  {answer.body.decode()}")
    expected = {"result": f"upstream answer {len(upstream.paths)}", "status": 200}
    expect(answer.status == 200 and answer.json == expected, "that is not the upstream's answer")


def show_that_one_client_served_all(events: list[dict[str, Any]]) -> None:
    ours = [event for event in events if event.get("upstream") == "httpbin"]
    for event in ours:
        fields = (f"{name}={event[name]}" for name in SHOWN if name in event)
        say(f"{event['message']:14} {' '.join(fields)}")

    messages = [event["message"] for event in ours]
    expect(
        messages == ["client opened", *["upstream call"] * CALLS, "client closed"],
        "the client was not opened once, used, and closed once",
    )
    expect(ours[0]["client_id"] == ours[-1]["client_id"], "another client was closed")
    expect(ours[-1]["is_closed"] is True, "the client was not closed")


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def say(text: str, mark: str = "") -> None:
    print(f"  {mark} {text}" if mark else f"  {text}")


def do(command: str, directory: Path) -> None:
    say(command, "$")
    sys.stdout.flush()
    done = run(directory, *command.split())
    expect(done.returncode == 0, f"it ended with exit code {done.returncode}:\n{done.stdout}")


def expect(promise: bool, otherwise: str) -> None:
    if not promise:
        raise BrokenPromiseError(otherwise)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPromiseError, OSError) as failure:
        sys.exit(f"\nThe demo failed: {failure}")
