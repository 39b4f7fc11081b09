"""The total deadline: whatever happens beneath, a call ends in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}

from .errors import DeadlineExceeded
from .layer import Layer, Stream, stream_of


class Deadline(Layer):
    """End a call, its attempts, back-off and body at ``request.extensions["deadline"]``.

    That is a time of the event loop's clock, set when the call was made, so that redirects
    and queueing count too. The body is read here, unless the caller streams it: then the layers
    above have no more to watch. Raises DeadlineExceeded.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadline: float = request.extensions["deadline"]
        # A timeout only cuts what waits: without this, one that is past would still send.
        if self.now() >= deadline:
            raise DeadlineExceeded("the total deadline passed before an attempt")
        try:
            async with asyncio.timeout_at(deadline) as bound:
                response = await self.inner.handle_async_request(request)
                request.extensions["status"] = response.status_code
                if not request.extensions["streamed"]:
                    async with contextlib.aclosing(response):
                        await response.aread()
                    return response
        except TimeoutError:
            if not bound.expired():
                raise
            awaited = "a response" if request.extensions["status"] is None else "its end"
            raise DeadlineExceeded(f"the total deadline passed before {awaited}") from None
        stream = stream_of(response)
        response.stream = Stream(_bounded(stream, deadline), stream)
        return response


async def _bounded(stream: httpx.AsyncByteStream, deadline: float) -> AsyncIterator[bytes]:
    chunks = aiter(stream)
    loop = asyncio.get_running_loop()
    while True:
        try:
            if loop.time() >= deadline:  # also when data is there without waiting
                raise TimeoutError
            # Around each chunk and not the whole loop: the caller's own work between two
            # chunks is not ours to cancel.
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise DeadlineExceeded("the total deadline passed before its end") from None
        yield chunk
