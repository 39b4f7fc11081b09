import json
import logging.config
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from {{ cookiecutter.package_name }} import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before


def logged(capsys: pytest.CaptureFixture[str], format: str) -> str:
    """What three loggers write in a request: ours, a library's, and one that is too talkative."""
    logging.config.dictConfig(log.config("INFO", format))
    token = log.request_id.set("the-request")
    logging.getLogger("ours.child").info("it's %s", "done", extra={"upstream": "up", "ümlaut": 1})
    try:
        raise ValueError("broken\nin two lines, at 'https://me:s3cret@host/path?token=s3cret'")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed", extra={"color_message": "!"})
    logging.getLogger("httpx").info("HTTP Request: GET http://host/?token=s3cret")
    log.request_id.reset(token)
    return capsys.readouterr().out


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is one object, whoever logs, with the request's id and the event's fields."""
    lines = [json.loads(line) for line in logged(capsys, "json").splitlines()]

    done, failed = lines
    assert (done["level"], done["logger"], done["message"]) == ("info", "ours.child", "it's done")
    assert (done["upstream"], done["ümlaut"]) == ("up", 1)
    assert done["request_id"] == failed["request_id"] == "the-request"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", done["timestamp"])
    assert "broken\nin two lines, at 'https://host/path'" in failed["exception"]
    assert "s3cret" not in failed["exception"]
    assert "color_message" not in failed


def test_json_takes_what_it_cannot_write_fast(capsys: pytest.CaptureFixture[str]) -> None:
    """No line is lost for what is in it."""
    logging.config.dictConfig(log.config("INFO", "json"))
    odd = {"surrogate": "\ud800", "large": 2**70, "thing": object, "level": 1}
    logging.getLogger("ours").info("odd", extra=odd, stack_info=True)

    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "info"
    assert "test_log.py" in line["stack"]
    assert (line["surrogate"], line["large"], line["thing"]) == ("\ud800", 2**70, str(object))


def test_an_object_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """They leave out what is secret, and cannot forge a line."""

    @dataclass
    class Login:
        user: str
        password: str = field(repr=False)

    for format in ("json", "console"):
        logging.config.dictConfig(log.config("INFO", format))
        logging.getLogger("ours").info("login", extra={"who": Login("a\nb", "s3cret")})
        out = capsys.readouterr().out
        assert "Login(user=" in out
        assert "s3cret" not in out
        assert out.count("\n") == 1


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_levels_are_colored_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_color: str,
    colored: bool,
) -> None:
    """On a terminal the level has a colour, unless NO_COLOR says no (no-color.org)."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)

    assert ("\x1b[31mERROR" in logged(capsys, "console")) is colored


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Readable lines, and no colour when it is not a terminal that reads them."""
    out = logged(capsys, "console")

    assert "it's done" in out
    assert "upstream=up" in out
    assert "\x1b[" not in out
    assert "broken\nin two lines" in out
    assert "s3cret" not in out
