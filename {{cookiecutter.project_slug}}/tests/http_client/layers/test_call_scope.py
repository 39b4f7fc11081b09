from datetime import timedelta

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.log import request_id


async def test_request_id_is_forwarded(client: httpx.AsyncClient) -> None:
    """The caller's request id is sent to the upstream, unless the call sets its own."""
    token = request_id.set("the-request")
    forwarded = (await client.get("/echo")).json()
    own = (await client.get("/echo", headers={"X-Request-ID": "own"})).json()
    request_id.reset(token)

    assert (forwarded["x-request-id"], own["x-request-id"]) == ("the-request", "own")


@pytest.mark.parametrize("location", ["http://xn--a.com/", "x:y", "%01"])
async def test_location_that_is_not_a_url(client: httpx.AsyncClient, location: str) -> None:
    """A redirect that is not followed is a response like any other, whatever its Location."""
    response = await client.get(f"/status/302?location={location}")

    assert response.status_code == 302


async def test_elapsed_time_of_a_response(client: httpx.AsyncClient) -> None:
    """``elapsed`` is set whether the body was streamed or not."""
    whole = await client.get("/")
    async with client.stream("GET", "/") as streamed:
        await streamed.aread()

    assert whole.elapsed > timedelta(0)
    assert streamed.elapsed > timedelta(0)
