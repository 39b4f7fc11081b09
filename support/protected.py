"""An API that needs an access token, with its token endpoint."""

import asyncio
import json
import secrets
from typing import Any


def protected(upstream: Any) -> Any:
    """Return a subclass of a generated project's `Upstream`, which `/token` gives access to."""

    class Protected(upstream):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.issued = 0
            self.valid: set[str] = set()

        async def _answer(
            self, request: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> bool:
            _, _, token = request.headers.get("authorization", "").partition(" ")
            if request.target == "/token":
                await asyncio.sleep(0.1)  # as long as an identity provider takes
                self.issued += 1
                token = secrets.token_hex()
                self.valid.add(token)
                answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
                body, status = json.dumps(answer).encode(), 200
            elif token not in self.valid:
                body, status = b"", 401
            else:
                return bool(await super()._answer(request, reader, writer))
            head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            return True

    return Protected
