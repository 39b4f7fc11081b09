"""Calls upstreams that need an access token, through every fault of the token endpoint.

Each argument names a scenario; the report has what it observed, and all that the service logged or
raised and that contains a secret.
"""

import asyncio
import contextlib
import copy
import json
import logging
import pickle
import ssl
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trustme
import uvloop
from fastapi.responses import StreamingResponse
from leaving import run, send
from my_service.app import create_app
from my_service.http_client.clients import Clients, open_clients
from my_service.log import JsonFormatter, configure
from my_service.settings import Settings
from tests.service import Up, serve
from tests.upstream import ReceivedRequest, Upstream

SECRET = "s3cret"  # noqa: S105 - not a real one
JSON = {
    "list": "[]",
    "text": '"token"',
    "deep": "[" * 200_000,
    "digits": '{"access_token": ' + "1" * 5000 + "}",
    "no-token": '{"token_type": "Bearer"}',
    "injected": json.dumps({"access_token": f"{SECRET}\r\nX: y", "token_type": "Bearer"}),
    "non-ascii": json.dumps({"access_token": f"{SECRET}é", "token_type": "Bearer"}),
    "number": '{"access_token": 7, "token_type": "Bearer"}',
    "huge": json.dumps({"access_token": SECRET, "padding": "x" * 2_000_000}),
    "mac": json.dumps({"access_token": SECRET, "token_type": "mac"}),
}
ODD_LIFETIMES: list[object] = [None, True, -1, 0, "soon", 1e400, 10**300, [], "7200", 7200.5]


class Endpoint(Upstream):
    """A token endpoint: `/token` issues secret tokens; other paths misbehave."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.gate.set()
        self.issued = 0
        self.fields: dict[str, object] = {"expires_in": 3600, "token_type": "bearer"}
        self.valid: set[str] = set()
        self.faults = 0
        """So many requests get a 503 first."""

    async def _answer(
        self, request: ReceivedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        path = request.target.partition("?")[0].removeprefix("/")
        if path in JSON:
            return respond(writer, 200, JSON[path].encode())
        if path == "rejecting":
            error = {"error": "invalid_client", "error_description": SECRET}
            return respond(writer, 401, json.dumps(error).encode())
        if path == "odd-code":
            return respond(writer, 400, json.dumps({"error": [SECRET]}).encode())
        if path != "token":
            return await super()._answer(request, reader, writer)
        await self.gate.wait()
        if self.faults:
            self.faults -= 1
            return respond(writer, 503, b"")
        self.issued += 1
        token = f"{SECRET}-{id(self)}-{self.issued}"
        self.valid.add(token)
        return respond(writer, 200, json.dumps({"access_token": token, **self.fields}).encode())


class Protected(Upstream):
    """Returns 401 to requests without a valid token."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint

    async def _answer(
        self, request: ReceivedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.endpoint.valid and request.target == "/endless":
            writer.write(b"HTTP/1.1 401 X\r\n\r\nno valid")
            await reader.read()  # returns when the caller leaves
            return False
        if token not in self.endpoint.valid:
            return respond(writer, 401, b"no valid token")
        return await super()._answer(request, reader, writer)


def respond(writer: asyncio.StreamWriter, status: int, body: bytes) -> bool:
    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
    return True


def settings_of(
    *upstreams: Protected, path: str = "/token", url: str = "", **http: Any
) -> Settings:
    generous = {"max_connections": 1000, "pool_timeout_s": 30, "backoff_base_s": 0.01}
    return Settings.model_validate(
        {
            "upstreams": {
                f"up{number or ''}": {
                    "base_url": upstream.url,
                    "headers": {"X-Key": "of the upstream"},
                    "oauth2_token_url": (url or upstream.endpoint.url) + f"{path}?key={SECRET}",
                    "oauth2_client_id": "us",
                    "oauth2_client_secret": f"{SECRET}-of-the-client",
                }
                for number, upstream in enumerate(upstreams)
            },
            "http": generous | http,
        }
    )


@asynccontextmanager
async def opened(endpoint: Endpoint, **options: Any) -> AsyncGenerator[tuple[Protected, Clients]]:
    async with (
        Protected(endpoint) as upstream,
        open_clients(settings_of(upstream, **options)) as it,
    ):
        yield upstream, it


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.001)


async def first_calls() -> object:
    """500 concurrent first calls, then one that finds the token."""
    async with Endpoint() as endpoint, opened(endpoint) as (_, clients):
        client = clients.upstreams["up"].client
        statuses = Counter([(await call).status_code for call in tasks(client.get, 500)])
        return {"statuses": statuses, "requests": len(endpoint.seen)}


def tasks(call: Callable[..., Coroutine[Any, Any, Any]], number: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(call("/")) for _ in range(number)]


async def ahead() -> object:
    """Tokens live a second; 10 callers call for four."""
    async with Endpoint() as endpoint, opened(endpoint) as (_, clients):
        endpoint.fields["expires_in"] = 1
        client = clients.upstreams["up"].client
        loop = asyncio.get_running_loop()
        end = loop.time() + 4
        statuses = Counter[int]()

        async def call() -> None:
            while loop.time() < end:
                statuses[(await client.get("/")).status_code] += 1

        async def expire() -> None:
            while loop.time() < end:
                oldest = set(endpoint.valid)
                await asyncio.sleep(1)
                endpoint.valid -= oldest if endpoint.valid - oldest else set()

        await asyncio.gather(expire(), *(call() for _ in range(10)))
        enough = endpoint.issued >= 3
        return {"failed": statuses.total() - statuses[200], "renewed": enough}


async def failing_ahead() -> object:
    """The token cannot be renewed: calls use it while it is valid, and few requests are made."""
    async with Endpoint() as endpoint, opened(endpoint) as (_, clients):
        endpoint.fields["expires_in"] = 5
        client = clients.upstreams["up"].client
        await client.get("/")
        await asyncio.sleep(4.05)
        endpoint.faults = 1000
        loop = asyncio.get_running_loop()
        began = loop.time()
        statuses = [(await client.get("/")).status_code for _ in range(50)]
        gauges = clients.upstreams["up"].gauges
        await until(lambda: "failing" in gauges().values())
        statuses += [(await client.get("/")).status_code for _ in range(50)]
        elapsed_s = loop.time() - began
        # Each request has three attempts; pauses of 0.2, 0.4 and 0.8 s follow.
        requests = 1 + sum(elapsed_s > end_s for end_s in (0.2, 0.6, 1.4))
        few = len(endpoint.seen) <= 1 + 3 * requests
        return {"statuses": Counter(statuses), "few requests": few}


async def rejected() -> object:
    """100 concurrent POSTs get a 401: one renewal, and each is repeated once."""
    async with Endpoint() as endpoint, opened(endpoint) as (upstream, clients):
        client = clients.upstreams["up"].client
        await client.get("/")
        endpoint.valid.clear()
        calls = [asyncio.create_task(client.post("/", content=b"1")) for _ in range(100)]
        statuses = Counter([(await call).status_code for call in calls])
        issued = endpoint.issued
        endpoint.valid.clear()
        async with client.stream("GET", "/endless") as endless:
            await until(lambda: upstream.in_flight == 1)  # the 401 was left
        endpoint.valid.clear()
        forbidden = await client.get("/", extensions={"retry": False})
        after = await client.get("/")
        codes = [forbidden.status_code, after.status_code]
        codes.append(endless.status_code)
        return {"statuses": statuses, "tokens": issued, "no repeat": codes[:2], "endless": codes[2]}


async def broken_renewal() -> object:
    """After a 401 the token cannot be renewed: the call fails, and recovers with the endpoint."""
    async with Endpoint() as endpoint, opened(endpoint) as (_, clients):
        client = clients.upstreams["up"].client
        await client.get("/")
        endpoint.valid.clear()
        endpoint.faults = 3
        failed = await outcome(client.get("/"))
        await asyncio.sleep(2.1)
        return {"failed": failed[:2], "after": (await client.get("/")).status_code}


async def cancelled() -> object:
    """1,000 calls that wait for a token are cancelled, once or twice; the others get it."""
    before = asyncio.all_tasks()
    done = Counter[str]()
    async with Endpoint() as endpoint, opened(endpoint) as (_, clients):
        client = clients.upstreams["up"].client
        for number in range(50):
            endpoint.valid.clear()
            if number % 2:  # also while the first token is requested
                layer_of(clients)._token = None
            endpoint.gate.clear()
            calls = tasks(client.get, 22)
            await endpoint.wait_for_calls()
            for position, call in enumerate(calls[:20]):
                call.cancel()
                if position % 2:
                    for _ in range(position % 4):
                        await asyncio.sleep(0)
                    call.cancel()
            await asyncio.wait(calls[:20])
            done["cancelled"] += sum(call.cancelled() for call in calls[:20])
            endpoint.gate.set()
            done.update([str((await call).status_code) for call in calls[20:]])
        in_flight = clients.upstreams["up"].gauges()["in_flight"]
        endpoint.gate.clear()  # close during a request
        layer_of(clients)._token = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.get("/")
    left = asyncio.all_tasks() - before
    return {"done": done, "issued": endpoint.issued, "in_flight": in_flight, "left": len(left)}


def layer_of(clients: Clients) -> Any:
    layer: Any = clients.upstreams["up"].client._transport
    while type(layer).__name__ != "OAuth2":
        layer = layer.inner
    return layer


async def outcome(call: Coroutine[Any, Any, httpx.Response]) -> list[Any]:
    """Return what happened to a call; the exception must be safe to log, copy and pickle."""
    try:
        return ["response", (await call).status_code]
    except httpx.TransportError as failure:
        error = failure
    problem = getattr(error, "problem", None)
    again = pickle.loads(pickle.dumps(copy.copy(error)))  # noqa: S301 - our own
    same = (str(again), getattr(again, "problem", None)) == (str(error), problem)
    text = [str(error), repr(error), str(vars(error)), *traceback.format_exception(error)]
    OBSERVED.extend([*text, str(dict(error.request.headers))])
    wait_s = getattr(error, "retry_after_s", None)
    return [
        type(error).__name__ if same else "changed",
        problem and problem.status,
        str(error),
        wait_s,
    ]


async def faults() -> object:
    """Every fault of the token endpoint, and how much was sent to the upstream."""
    paths = [
        *("drop", "garbage", "headers", "short", "reset", "undecodable", "large/2000000"),
        *("gzip/20971520", "endless", "hang", "drip", "status/500", "status/302?location=/token"),
        *("rejecting", "odd-code", *JSON),
    ]
    found: dict[str, Any] = {}
    async with Endpoint() as endpoint, Protected(endpoint) as upstream:
        for path in paths:
            quick: dict[str, Any] = (
                {"total_timeout_s": 1} if path in {"hang", "drip", "endless"} else {}
            )
            settings = settings_of(upstream, path=f"/{path}", **quick)
            async with open_clients(settings) as clients:
                stack = clients.upstreams["up"]
                before = len(endpoint.seen)
                calls = [outcome(stack.client.get("/")) for _ in range(20)]
                name, status, text, _ = (await asyncio.gather(*calls))[0]
                named = endpoint.url.removeprefix("http://") in text
                requests = len(endpoint.seen) - before
                found[path] = [name, status, named, requests <= 3]
                OBSERVED.append(str(stack.gauges()))
        settings = settings_of(upstream, url="http://127.0.0.1:1")
        async with open_clients(settings) as clients:
            name, status, text, _ = await outcome(clients.upstreams["up"].client.get("/"))
            found["refused"] = [name, status, "127.0.0.1:1:" in text, True]
        sent = len(upstream.seen)
    return {"found": found, "sent": sent}


async def breaker() -> object:
    """The token endpoint's breaker opens, the upstream's stays closed."""
    options = {"breaker_min_calls": 2, "max_attempts": 2, "path": "/drop"}
    async with Endpoint() as endpoint, opened(endpoint, **options) as (_, clients):
        stack = clients.upstreams["up"]
        first = await outcome(stack.client.get("/"))
        layer_of(clients)._paused_until = 0
        second = await outcome(stack.client.get("/"))
        gauges = stack.gauges()
        own = await stack.client.get("/", headers={"Authorization": "Bearer mine"})
        return {
            "status": [first[1], second[1]],
            "retry_after_s": second[3],
            "breaker": gauges["breaker"],
            "requests": len(endpoint.seen),
            "own": own.status_code,
        }


async def origins() -> object:
    """The endpoint is at another origin, with TLS; redirects at the upstream carry the token."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with tempfile.NamedTemporaryFile() as bundle:
        bundle.write(authority.cert_pem.bytes())
        bundle.flush()
        async with Endpoint(tls) as endpoint:
            options = {"ca_bundle": bundle.name, "follow_redirects": True}
            async with opened(endpoint, **options) as (upstream, clients):
                client = clients.upstreams["up"].client
                redirected = await client.get("/status/302?location=/echo")
                async with client.stream("GET", "/pieces") as streamed:
                    await streamed.aread()
                stranger = await outcome(client.get(endpoint.url))
                token = upstream.seen[-1].headers["authorization"]
                hidden = [response.request.headers for response in (redirected, streamed)]
                OBSERVED.extend(str(headers) for headers in hidden)
                return {
                    "statuses": [redirected.status_code, streamed.status_code],
                    "tokens": {request.headers["authorization"] for request in upstream.seen}
                    == {token},
                    "stranger": stranger[0],
                    "endpoint got": ["x-key" in r.headers for r in endpoint.seen],
                }


async def separate() -> object:
    """Two upstreams with endpoints of their own, called concurrently; each gets its own token."""
    async with Endpoint() as a, Endpoint() as b, Protected(a) as up, Protected(b) as up1:
        async with open_clients(settings_of(up, up1)) as clients:
            answers = await asyncio.gather(
                *(clients.upstreams[name].client.get("/") for name in ["up", "up1"] * 50)
            )
        return {
            "statuses": Counter(answer.status_code for answer in answers),
            "requests": [len(a.seen), len(b.seen)],
        }


async def odd_lifetimes() -> object:
    """Tokens with an odd lifetime are used until a 401."""
    issued = []
    async with Endpoint() as endpoint:
        for lifetime in ODD_LIFETIMES:
            endpoint.fields["expires_in"] = lifetime
            before = endpoint.issued
            async with opened(endpoint) as (_, clients):
                client = clients.upstreams["up"].client
                assert [(await client.get("/")).status_code for _ in range(3)] == [200] * 3
            issued.append(endpoint.issued - before)
    return issued


async def service() -> object:
    """The whole service: /external, its stream, a handler's stream, /readyz and a problem."""
    async with Endpoint() as endpoint, Protected(endpoint) as upstream:
        upstream.body, upstream.piece = b"x" * 1000, 100
        app = create_app(settings_of(upstream))

        @app.get("/own")
        async def own(up: Up) -> StreamingResponse:
            response = await up.send(up.build_request("GET", "/pieces"), stream=True)
            return StreamingResponse(response.aiter_bytes())

        async with serve(app) as caller:
            texts = [
                (await caller.get("/external")).text,
                (await caller.get(f"/external/stream?url={upstream.url}/pieces")).text,
                (await caller.get("/own")).text,
            ]
            ready = (await caller.get("/readyz")).json()["upstreams"]["up"]["token"]
            foreign = (await caller.get(f"/external?url={endpoint.url}/token")).status_code
        app = create_app(settings_of(upstream, path="/rejecting"))
        async with serve(app) as caller:
            failed = await caller.get("/external")
        OBSERVED.append(failed.text)
        return {
            "sizes": [len(text) for text in texts[1:]],
            "ready": ready,
            "foreign": foreign,
            "failed": [failed.status_code, failed.json()["upstream"], failed.json()["type"]],
            "reason": [line for line in OBSERVED if "(invalid_client)" in line] != [],
            "requests": len(endpoint.seen),
        }


async def leaving() -> object:
    """The caller whose request fetched the token disconnects; another one waits for the token."""
    async with Endpoint() as endpoint, Protected(endpoint) as upstream:
        endpoint.gate.clear()
        app, statuses = create_app(settings_of(upstream)), []

        async def use(port: int) -> None:
            url = f"http://127.0.0.1:{port}/external"
            first = await send(port, "GET /external")
            await endpoint.wait_for_calls()
            async with httpx.AsyncClient(timeout=20) as caller:
                other = asyncio.create_task(caller.get(url))
                await asyncio.sleep(0.5)
                first.close()
                await until(lambda: any('"status":499' in line for line in OBSERVED))
                endpoint.gate.set()
                statuses.append((await other).json()["status"])

        await run("h11", app, use)
        own_ids = ["x-request-id" in request.headers for request in endpoint.seen]
        return {"other": statuses, "requests": len(endpoint.seen), "request ids": own_ids}


async def replaced() -> object:
    """A transport given to open_clients replaces the token endpoint's pool, too."""
    hosts = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, json={"access_token": SECRET})

    upstream, endpoint = Protected(Endpoint()), Endpoint()
    upstream.url, endpoint.url = "https://up.example", "https://login.example"
    upstream.endpoint = endpoint
    settings, given = settings_of(upstream), []

    def transport(http: Any) -> httpx.AsyncBaseTransport:
        given.append(str(getattr(http, "base_url", None)))
        return httpx.MockTransport(answer)

    async with open_clients(settings, transport) as clients:
        await clients.upstreams["up"].client.get("/")
    return {"hosts": hosts, "given": given}


OBSERVED: list[str] = []


class Observer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        OBSERVED.append(JsonFormatter().format(record))


async def main() -> None:
    logging.getLogger().addHandler(Observer())
    logging.getLogger().setLevel(logging.DEBUG)
    configure("DEBUG", "json")  # quiets the libraries that log secrets
    unhandled: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(str(context)))
    report = {}
    for name in sys.argv[2:]:
        report[name] = await globals()[name]()
    report["secrets"] = [line for line in OBSERVED if SECRET in line]
    report["unhandled"] = unhandled
    print(json.dumps(report))


if __name__ == "__main__":
    logging.lastResort = None
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
