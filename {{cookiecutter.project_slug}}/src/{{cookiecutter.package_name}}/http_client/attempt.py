"""The attempt timeout: a hanging attempt leaves time for the next one."""

import asyncio

import {{ cookiecutter.__httpx }}

from .layer import Layer


class AttemptTimeout(Layer):
    """Bound an attempt from its start to the response's headers, in seconds.

    The body is left to the read timeout and the total deadline, because once it has begun
    there is no next attempt. Raises httpx.ReadTimeout: the request may have been received, as
    far as can be told here.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, timeout_s: float) -> None:
        super().__init__(inner)
        self._timeout_s = timeout_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeout_s) as bound:
                return await self.inner.handle_async_request(request)
        except TimeoutError:
            if not bound.expired():
                raise
            raise httpx.ReadTimeout(f"no response within {self._timeout_s:g} s") from None
