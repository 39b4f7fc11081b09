"""Plays the programs of this package inside generated services."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.rendering import Bake, Project

HERE = Path(__file__).parent


class Player:
    """Generates each service once, with this package inside."""

    def __init__(self, bake: Bake) -> None:
        self._bake = bake
        self._projects: dict[str, Project] = {}

    def project(self, answers: Mapping[str, object]) -> Project:
        """The service with these answers, and without upstreams of its own."""
        key = repr(sorted(answers.items()))
        if key not in self._projects:
            project = self._bake(upstreams="", **answers)
            inside = project.path / HERE.name
            ignored = shutil.ignore_patterns("test_*", "conftest.py", "__pycache__")
            shutil.copytree(HERE, inside, ignore=ignored)
            if project.answers["http_library"] == "httpx2":
                for module in inside.glob("*.py"):
                    text = module.read_text(encoding="utf-8")
                    text = text.replace("import httpx\n", "import httpx2 as httpx\n")
                    module.write_text(text, encoding="utf-8")
            self._projects[key] = project
        return self._projects[key]

    def play(
        self,
        answers: Mapping[str, object],
        program: str,
        *args: str,
        flags: tuple[str, ...] = (),
    ) -> Any:
        """The report of a program, run in the service with these answers."""
        return self.project(answers).report(f"{HERE.name}.{program}", *args, flags=flags)


@pytest.fixture(scope="session")
def player(bake: Bake) -> Player:
    """The player of the programs."""
    return Player(bake)
