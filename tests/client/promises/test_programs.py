"""The programs that run in a generated service are written as it is."""

import pytest

from support.generated import PROGRAMS, Generated


@pytest.mark.parametrize("name", ["httpx-on-aiohttp", "httpx2-on-httpcore"])
def test_their_types_are_right(every_service: dict[str, Generated], name: str) -> None:
    """mypy, as strict as the service's own configuration, finds nothing in them."""
    programs = sorted(program.name for program in PROGRAMS.glob("*.py"))
    done = every_service[name].project.run("mypy", *programs)

    assert f"no issues found in {len(programs)} source files" in done.stdout
