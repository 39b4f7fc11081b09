"""A client certificate is shown to its upstream only, and its rotation fails no call."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.generated import EACH_ONCE
from support.rendering import Bake

PROGRAM = "client_certificates.py"
HTTP2 = {"http_library": "httpx2", "http_transport": "httpcore", "http2": True}


@pytest.fixture(scope="module", params=[*EACH_ONCE, "http2"])
def report(request: pytest.FixtureRequest, report_once: Callable[..., Any]) -> Any:
    return report_once(PROGRAM, **EACH_ONCE.get(request.param, HTTP2))


def test_rotation_fails_no_call(report: Any) -> None:
    """10,000 calls survive five rotations after which only the newest certificate is accepted."""
    assert report["rotates"] == {"failures": [], "requests": 10_000, "issuers": 6}


def test_half_a_rotation_keeps_the_old_pair(report: Any) -> None:
    """A certificate without its key is one warning, and is used once its key has arrived."""
    assert report["is_half_rotated"] == {
        "statuses": [200] * 5,
        "warnings": ["CLIENT_CERT is not usable; the previous one stays"],
        "issuers": [1, 1, 1, 1, 2],
    }


def test_missing_certificate_is_named(report: Any) -> None:
    """The failure of a call without the certificate that the upstream requires says so."""
    kind, message = report["is_missing"]

    assert kind == "ReadError"
    assert "certificate required" in message


def test_other_upstreams_and_proxies_do_not_see_it(report: Any) -> None:
    """The certificate is not shown to an upstream without it, nor to a proxy over TLS."""
    assert report["is_shown"] == {"own": 1, "other": 0, "proxied": 0}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs, and what else CLIENT_CERT and CLIENT_KEY may be set to."""
    directory = tmp_path_factory.mktemp("pairs")
    for name in ("good", "other"):
        issued = trustme.CA().issue_cert("client@example.com")
        issued.cert_chain_pems[0].write_to_path(str(directory / f"{name}.crt"))
        issued.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        issued.private_key_and_cert_chain_pem.write_to_path(str(directory / f"{name}.pem"))
    (directory / "text").write_text("hunter2", encoding="utf-8")
    encrypt = ["openssl", "pkcs8", "-topk8", "-passout", "pass:hunter2"]
    subprocess.run(
        [*encrypt, "-in", directory / "good.key", "-out", directory / "locked.key"], check=True
    )
    return directory


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"HTTP__CLIENT_KEY": "good.key"}, "HTTP__CLIENT_KEY"),
        ({"HTTP__CLIENT_CERT": "good.crt"}, "HTTP__CLIENT_CERT"),
        ({"HTTP__CLIENT_CERT": "text"}, "HTTP__CLIENT_CERT"),
        ({"HTTP__CLIENT_CERT": "missing"}, "HTTP__CLIENT_CERT"),
        (
            {"HTTP__CLIENT_CERT": "good.crt", "HTTP__CLIENT_KEY": "other.key"},
            "HTTP__CLIENT_KEY",
        ),
        ({"HTTP__CLIENT_CERT": "good.crt", "HTTP__CLIENT_KEY": "text"}, "HTTP__CLIENT_KEY"),
        (
            {"HTTP__CLIENT_CERT": "good.crt", "HTTP__CLIENT_KEY": "locked.key"},
            "HTTP__CLIENT_KEY",
        ),
        (
            {"HTTP__CLIENT_CERT": "good.pem", "UPSTREAMS__UP__CLIENT_KEY": "other.key"},
            "UPSTREAMS__UP__CLIENT_KEY",
        ),
        ({"UPSTREAMS__UP__CLIENT_CERT": "other.crt"}, "UPSTREAMS__UP__CLIENT_CERT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_unusable_pair_stops_the_start(
    bake: Bake, files: Path, settings: dict[str, str], named: str
) -> None:
    """One line names the variable, without its contents, and nobody is asked for a passphrase."""
    done = start(bake, files, settings)

    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2
    assert done.stderr.splitlines()[1].startswith(f"  APP_{named}: ")
    assert "hunter2" not in done.stderr


def start(bake: Bake, files: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process without a terminal."""
    environment = {f"APP_{name}": str(files / value) for name, value in settings.items()}
    return subprocess.run(
        ["python", "-c", "from my_service.settings import read_settings; read_settings()"],
        cwd=bake(upstreams="").path,
        env=os.environ
        | {"PYTHONPATH": "src", "APP_UPSTREAMS__UP__BASE_URL": "https://up.example"}
        | environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"HTTP__CLIENT_CERT": "good.pem"},
        {"HTTP__CLIENT_CERT": "good.crt", "HTTP__CLIENT_KEY": "good.key"},
        {"HTTP__CLIENT_CERT": "good.pem", "UPSTREAMS__UP__CLIENT_KEY": "good.key"},
        {"UPSTREAMS__UP__CLIENT_CERT": "good.pem"},
    ],
    ids=["key-in-the-file", "two-files", "key-overridden", "only-the-upstream"],
)
def test_usable_pair_starts(bake: Bake, files: Path, settings: dict[str, str]) -> None:
    """The key may be in the certificate's file, and an upstream inherits either."""
    done = start(bake, files, settings)

    assert (done.returncode, done.stderr) == (0, "")
