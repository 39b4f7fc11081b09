"""The programs that run in a generated service follow its own rules."""

import pytest

from answers.features import FEATURES
from support.generated import COMBINATIONS, PROGRAMS, Generated
from support.rendering import Bake


@pytest.mark.parametrize("name", ["httpx-on-aiohttp", "httpx2-on-httpcore"])
def test_programs_pass_the_type_check(bake: Bake, name: str) -> None:
    """mypy, with the service's own strict configuration, finds no errors in the programs."""
    programs = sorted(program.name for program in PROGRAMS.glob("*.py"))
    every = Generated(bake(**COMBINATIONS[name], features=", ".join(FEATURES), upstreams=""))
    done = every.project.run("mypy", *programs)

    assert f"no issues found in {len(programs)} source files" in done.stdout
