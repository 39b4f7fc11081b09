import json
import logging.config
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from uvicorn.config import LOGGING_CONFIG

from {{ cookiecutter.package_name }} import log
from {{ cookiecutter.package_name }}.app import create_app


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before


def configure(format: str) -> None:
    """Configure logging as where a server starts, without pytest's handlers."""
    logging.getLogger().handlers = []
    log.configure("INFO", format)


def write_lines(capsys: pytest.CaptureFixture[str], format: str) -> str:
    """Return the lines of three loggers in a request: ours, a library's, and httpx's."""
    configure(format)
    token = log.request_id.set("the-request")
    logging.getLogger("ours.child").info("it's %s", "done", extra={"upstream": "up", "ümlaut": 1})
    try:
        raise ValueError("broken\nin two lines, at 'https://me:@s3cret@host/('x')?token=s3cret'")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed", extra={"color_message": "!"})
    logging.getLogger("httpx").info("HTTP Request: GET http://host/?token=s3cret")
    log.request_id.reset(token)
    return capsys.readouterr().out


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every logger's line is one object, with the request's id and the event's own fields."""
    lines = [json.loads(line) for line in write_lines(capsys, "json").splitlines()]

    done, failed = lines
    assert (done["level"], done["logger"], done["message"]) == ("info", "ours.child", "it's done")
    assert (done["upstream"], done["ümlaut"]) == ("up", 1)
    assert done["request_id"] == failed["request_id"] == "the-request"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", done["timestamp"])
    assert "broken\nin two lines, at 'https://host'" in failed["exception"]
    assert "s3cret" not in failed["exception"]
    assert "color_message" not in failed


def test_server_joins(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's lines take the same form, without its access lines, which have queries."""
    logging.config.dictConfig(LOGGING_CONFIG)
    configure("json")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /?token=s3cret")

    written = capsys.readouterr()
    assert json.loads(written.out)["message"] == "started"
    assert written.err == ""


def test_other_configuration_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """A root logger that has a handler is left as it is, and so are other formats."""
    own = logging.StreamHandler()
    own.setFormatter(logging.Formatter("%(process)d %(threadName)s %(message)s"))
    logging.getLogger().handlers = [own]
    logging.getLogger().setLevel(logging.INFO)
    create_app()
    logging.getLogger("ours").warning("done")
    logging.getLogger("{{ cookiecutter.http_library }}").info("HTTP Request: GET http://host/?token=s3cret")

    assert logging.getLogger().handlers == [own]
    assert capsys.readouterr().err == f"{os.getpid()} MainThread done\n"


def test_values_that_are_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    """No line is lost because of the values in it."""
    configure("json")
    odd = {"surrogate": "\ud800", "large": 2**70, "thing": object, "level": 1}
    logging.getLogger("ours").info("odd", extra=odd, stack_info=True)

    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "info"
    assert "test_log.py" in line["stack"]
    assert (line["surrogate"], line["large"], line["thing"]) == ("\ud800", 2**70, str(object))


def test_objects_are_logged_as_their_own_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An object is logged by its repr, which omits secrets and cannot forge a line."""

    @dataclass
    class Login:
        user: str
        password: str = field(repr=False)

    for format in ("json", "console"):
        configure(format)
        logging.getLogger("ours").info("login", extra={"who": Login("a\nb", "s3cret")})
        out = capsys.readouterr().out
        assert "Login(user=" in out
        assert "s3cret" not in out
        assert out.count("\n") == 1


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The console format is readable, and has no colours outside a terminal."""
    out = write_lines(capsys, "console")

    assert "it's done" in out
    assert "upstream=up" in out
    assert "broken\nin two lines" in out
    assert "\x1b[" not in out
    assert "s3cret" not in out


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_levels_are_colored_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_color: str,
    colored: bool,
) -> None:
    """On a terminal the level has a colour, unless NO_COLOR is set (no-color.org)."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)

    assert ("\x1b[31mERROR" in write_lines(capsys, "console")) == colored
