"""The programs that run in a generated service follow its own rules."""

import pytest

from support.generated import PROGRAMS, Generated


@pytest.mark.parametrize("name", ["httpx-on-aiohttp", "httpx2-on-httpcore"])
def test_programs_pass_the_type_check(every_service: dict[str, Generated], name: str) -> None:
    """mypy, with the service's own strict configuration, finds no errors in the programs."""
    programs = sorted(program.name for program in PROGRAMS.glob("*.py"))
    done = every_service[name].project.run("mypy", *programs)

    assert f"no issues found in {len(programs)} source files" in done.stdout
