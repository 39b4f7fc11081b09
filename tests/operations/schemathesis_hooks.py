"""Loaded by schemathesis, which else would hardly guess a URL that the service may call."""

import os
from typing import Any

import schemathesis

UPSTREAM = os.environ["UPSTREAM"]


@schemathesis.hook
def map_query(_: schemathesis.HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put every other string behind the upstream's address, as a path or whatever it is."""
    if query and len(url := str(query.get("url", ""))) % 2:
        return {**query, "url": UPSTREAM + url}
    return query
