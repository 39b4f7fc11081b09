"""A mock of every upstream, below the layers of the clients; it needs no network."""

from collections.abc import Sequence

import {{ cookiecutter.__httpx }}

from {{ cookiecutter.package_name }}.settings import HTTPSettings


class MockUpstream:
    """Takes the place of an Upstream in ``client_for`` and others; an application of your own needs
    ``create_app(settings, transport=mock_upstream.transport)``.

    Each attempt takes the next of ``answers``, which are status codes, responses, and exceptions to
    raise; an attempt without one fails. ``seen`` records the requests.
    """

    url = "http://mock.example"

    def __init__(self) -> None:
        self.answers: Sequence[int | httpx.Response | Exception] = []
        self.seen: list[httpx.Request] = []

    def transport(self, _: HTTPSettings) -> httpx.AsyncBaseTransport:
        """Return the transport of a client."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        assert len(self.seen) <= len(self.answers), f"no answer is left for {request!r}"
        answer = self.answers[len(self.seen) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer) if isinstance(answer, int) else answer
