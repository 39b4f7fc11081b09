import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.__main__ import main

from .process import ServiceProcess

LAUNCHERS = {
    "own": "{{ cookiecutter.package_name }}",
    "uvicorn": "uvicorn {{ cookiecutter.package_name }}.app:create_app --factory --port 0",
}


@pytest.mark.parametrize("command", LAUNCHERS.values(), ids=LAUNCHERS)
def test_service_starts_logs_and_stops(command: str) -> None:
    """The service runs until SIGTERM, then closes its clients; every line it logs is JSON."""
    with ServiceProcess("-m", *command.split()) as service:
        address = service.read("Uvicorn running on ")[0].split()[3]
        live = httpx.get(f"{address}/livez", trust_env=False)
        unknown = httpx.get(f"{address}/nowhere?token=s3cret", trust_env=False)
        service.terminate()
        messages = service.read()

    assert (live.status_code, unknown.status_code) == (200, 404)
    assert messages.count("request") == 1  # health probes are logged at DEBUG
    assert messages.count("client opened") == messages.count("client closed") > 0
    assert messages[-1].startswith("Finished server process")
    assert "s3cret" not in str(service.lines)


def test_arguments_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--help`` prints where the settings are, instead of starting the service."""
    monkeypatch.setattr("sys.argv", ["service", "--help"])
    with pytest.raises(SystemExit, match=r"\.env\.example"):
        main()


def test_invalid_settings_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each invalid setting is one line on stderr that names its variable; the exit code is 3."""
    monkeypatch.setattr("sys.argv", ["service"])
    monkeypatch.setenv("APP_PORT", "s3cret")
    monkeypatch.setenv("APP_HTTP__MAX_CONNECTIONS", "0")
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__READ_TIMEOUT_S", "2")
    monkeypatch.setattr("gc.set_threshold", lambda _: None)  # it would outlast the test
    with pytest.raises(SystemExit) as stopped:
        main()

    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 3
    assert sorted(line.split()[0] for line in lines[1:]) == [
        "APP_HTTP__MAX_CONNECTIONS:",
        "APP_PORT:",
        "APP_UPSTREAMS__OTHER__BASE_URL:",
    ]
    assert "s3cret" not in str(lines)
