import copy
import pickle

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client import errors

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize("kind", errors.Rejected.__subclasses__())
def test_rejections_can_be_pickled(kind: type[errors.Rejected]) -> None:
    """A rejection can be copied and pickled, as httpx's own exceptions can."""
    error = kind("busy", 1.5)
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(again, kind)
        assert (str(again), again.retry_after_s) == ("busy", 2)


@pytest.mark.parametrize("path", ["/drop", "/hang", "/large/11", "/undecodable", "http://a.b"])
async def test_errors_of_calls_can_be_pickled(upstream: Upstream, path: str) -> None:
    """The exception of a call can be pickled, together with its request."""
    async with client_for(upstream, total_timeout_s=0.2, max_response_bytes=10) as client:
        with pytest.raises(httpx.HTTPError) as caught:
            await client.get(path, headers={"X": "1"})
    again = pickle.loads(pickle.dumps(caught.value))

    assert (type(again), str(again)) == (caught.type, str(caught.value))
    assert again.request.headers["x"] == "1"
