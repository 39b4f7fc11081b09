"""docs/adopt.md: the client in a service that was not generated."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from support.generated import misbehaving_upstream
from support.process import succeed
from support.rendering import Bake
from support.repository import ROOT
from support.service import Service

PAGE = (ROOT / "docs/adopt.md").read_text(encoding="utf-8")
BEFORE, LIFESPAN, AFTER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
IMPORTS = """\
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException
from starlette.types import ASGIApp

"""


class Shop(Service):
    """The service of the page."""

    health_path = "/openapi.json"

    def __init__(self, directory: Path, base_url: str) -> None:
        command = ["bash", "-c", "exec uvicorn shop.app:app --port $APP_PORT"]
        github = {"BASE_URL": base_url, "BEARER_TOKEN": "t0ken"}
        settings = {f"APP_UPSTREAMS__GITHUB__{name}": value for name, value in github.items()}
        settings |= {"GITHUB_TOKEN": "t0ken", "PYTHONPATH": "src"}
        super().__init__(command, directory, **settings)


@pytest.mark.anyio
async def test_the_page_moves_a_service(bake: Bake, tmp_path: Path) -> None:
    """With the copied client, the service sends the same, and its failures are problems."""
    project = bake(upstreams="github=https://api.github.com")
    shutil.copytree(project.path, tmp_path / "generated/my-service")
    shop = tmp_path / "shop"
    package = shop / "src/shop"
    package.mkdir(parents=True)
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command in commands.splitlines()[1:]:  # the first generates the project
        succeed(shop, "bash", "-c", command)

    async with misbehaving_upstream(project.path)() as upstream:
        upstream.body = b'{"stargazers_count": 7}'
        for path, outcome in (("body", "200 7"), ("drop", "502 github")):
            base_url = f"{upstream.url}/{path}"
            for text in (BEFORE.replace("https://api.github.com", base_url), LIFESPAN + AFTER):
                (package / "app.py").write_text(IMPORTS + text, encoding="utf-8")
                with Shop(shop, base_url) as service:
                    answer = await asyncio.to_thread(service.get, "/stars/python/cpython")
                assert upstream.seen[-1].headers["authorization"] == "Bearer t0ken"
                assert upstream.seen[-1].target == f"/{path}/repos/python/cpython"
                assert outcome.startswith(str(answer.status))
            shown = answer.json if path == "body" else answer.json["upstream"]
            assert f"{answer.status} {shown}" == outcome
