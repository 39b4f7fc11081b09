"""Which situations does a service survive: with a plain shared client, and as generated?

Both services run under uvicorn and give an upstream 5 seconds. They call the test server of the
generated project, which misbehaves on request. The program prints a Markdown table of what it
observed. It runs on Linux only, because it reads memory usage from /proc.
"""

import asyncio
import re
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme
from machine import rendered

from support.generated import misbehaving_upstream
from support.loopback import HOST, free_port
from support.protected import protected
from support.service import Service

CONTENDERS = Path(__file__).with_name("contenders")
SECRET = "hunter2"  # noqa: S105 - not a real one
MIB = 1024 * 1024
SLOTS = 100
"""Both allow at most this many connections by default."""


@dataclass
class Stage:
    """One service, upstreams that it may call, and one that it must not call."""

    service: Service
    caller: httpx.AsyncClient
    a: Any
    b: Any
    protected: Any
    """It wants access tokens."""
    documents: Any
    """Its responses may be cached, and wait for ``gate``."""
    stranger: Any
    moving_name: Path
    """The file with the address of ``moving.test``, where ``a`` is at first."""
    bank: "Bank"

    async def get(self, url: str, path: str = "/external", **params: float) -> httpx.Response:
        return await self.caller.get(path, params={"url": url, **params})

    async def status(self, url: str, path: str = "/external", **params: float) -> str:
        """Return the status that the caller gets, or the name of the exception."""
        try:
            response = await self.get(url, path, **params)
        except httpx.HTTPError as error:
            return type(error).__name__
        return str(response.status_code)

    def memory(self) -> float:
        """Return the service's peak memory, in MiB."""
        status = Path(f"/proc/{self.service.pid}/status").read_text(encoding="utf-8")
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(peak) / 1024


Verdict = tuple[bool, str]
Scenario = Callable[[Stage], Awaitable[Verdict]]


async def many_calls(stage: Stage) -> Verdict:
    """100 sequential calls: they use one connection"""
    statuses = [await stage.status(stage.a.url) for _ in range(100)]
    opened = stage.a.connections
    return opened == 1 and set(statuses) == {"200"}, count(opened, "connection")


async def cut_keep_alive(stage: Stage) -> Verdict:
    """The upstream cuts a kept connection on its next use: a GET still succeeds"""
    statuses = [await stage.status(f"{stage.a.url}/keep-alive-cut") for _ in range(2)]
    return statuses == ["200", "200"], ", then ".join(statuses)


async def two_bad_moments(stage: Stage) -> Verdict:
    """The upstream returns 503 twice, then 200: the caller of a GET gets the 200"""
    answer = (await stage.get(f"{stage.a.url}/flaky/2")).json()
    return answer["status"] == 200, f"relays {answer['status']}"


async def no_response(stage: Stage) -> Verdict:
    """The upstream accepts the request and never responds: the caller gets an error within 7 s"""
    return await within_seven_seconds(stage, "/hang")


async def drip(stage: Stage) -> Verdict:
    """The upstream sends one byte every 20 ms: the caller gets an error within 7 s"""
    return await within_seven_seconds(stage, "/drip")


async def within_seven_seconds(stage: Stage, path: str) -> Verdict:
    started = time.monotonic()
    try:
        async with asyncio.timeout(7):
            status = await stage.status(stage.a.url + path)
    except TimeoutError:
        return False, "still waiting"
    return True, f"{status} after {time.monotonic() - started:.1f} s"


async def bomb(stage: Stage) -> Verdict:
    """A gzip body of 100 kB expands to 100 MiB: memory grows by less than 50 MiB"""
    await stage.status(stage.a.url)
    before = stage.memory()
    async with stage.caller.stream(
        "GET", "/external", params={"url": f"{stage.a.url}/gzip/{100 * MIB}"}
    ) as response:
        async for _ in response.aiter_raw():
            pass
    grown = stage.memory() - before
    return grown < 50, f"{response.status_code}, {max(0, grown):.0f} MiB more"


async def short_body(stage: Stage) -> Verdict:
    """A body ends too soon: it is not reported as a success"""
    status = await stage.status(f"{stage.a.url}/short")
    return status != "200", status


async def faults(stage: Stage) -> Verdict:
    """Reset, dropped, garbage, truncated, undecodable: each is the upstream's fault, a 502"""
    paths = ("/reset", "/drop", "/garbage", "/short", "/undecodable")
    statuses = Counter([await stage.status(stage.a.url + path) for path in paths])
    return statuses == {"502": len(paths)}, ", ".join(f"{n} times {s}" for s, n in statuses.items())


async def odd_charset(stage: Stage) -> Verdict:
    """A bogus charset (`zlib`): the response still gets through"""
    status = await stage.status(f"{stage.a.url}/?content-type=text/plain;charset=zlib")
    return status == "200", status


async def cut_order(stage: Stage) -> Verdict:
    """The connection breaks after a POST was sent: the POST is not sent again"""
    await stage.caller.post("/order", params={"url": f"{stage.a.url}/drop"})
    return len(stage.a.seen) == 1, count(len(stage.a.seen), "request")


async def storm(stage: Stage) -> Verdict:
    """200 concurrent calls to an upstream that returns 503: fewer than 300 requests reach it"""
    await asyncio.gather(*(stage.status(f"{stage.a.url}/status/503") for _ in range(200)))
    return len(stage.a.seen) < 300, count(len(stage.a.seen), "request")


async def pushback(stage: Stage) -> Verdict:
    """A 429 with `Retry-After: 2`, then 100 calls: none is sent in the next 1.5 s, all get a 200"""
    await stage.caller.post("/order", params={"url": f"{stage.a.url}/status/429?retry-after=2"})
    calls = [asyncio.create_task(stage.status(stage.a.url)) for _ in range(100)]
    await asyncio.sleep(1.5)
    early = len(stage.a.seen) - 1
    answered = (await asyncio.gather(*calls)).count("200")
    return early == 0 and answered == 100, f"{early} sent, {answered} of 100 answered"


async def dead_upstream(stage: Stage) -> Verdict:
    """100 sequential calls to an upstream that drops them all: the service soon stops calling it"""
    for _ in range(100):
        await stage.status(f"{stage.a.url}/drop")
    return len(stage.a.seen) < 50, count(len(stage.a.seen), "request")


async def crowd(stage: Stage) -> Verdict:
    """300 concurrent calls: at most 100 are in flight at the upstream"""
    calls = [asyncio.create_task(stage.status(f"{stage.a.url}/gate")) for _ in range(300)]
    await stage.a.wait_for_calls(SLOTS)
    await asyncio.sleep(0.5)
    stage.a.gate.set()
    await asyncio.gather(*calls)
    return stage.a.most_in_flight <= SLOTS, f"{stage.a.most_in_flight} in flight"


async def neighbour(stage: Stage) -> Verdict:
    """One upstream hangs with 150 calls: a call to another one succeeds within 2 s"""
    calls = [asyncio.create_task(stage.status(f"{stage.a.url}/gate")) for _ in range(150)]
    await stage.a.wait_for_calls(SLOTS)
    await asyncio.sleep(0.5)
    started = time.monotonic()
    status = await stage.status(stage.b.url)
    took_s = time.monotonic() - started
    stage.a.gate.set()
    await asyncio.gather(*calls)
    return status == "200" and took_s < 2, f"{status} after {took_s:.1f} s"


async def cookies(stage: Stage) -> Verdict:
    """An upstream sets a cookie for one caller: it is not sent with another caller's call"""
    await stage.status(f"{stage.a.url}/?set-cookie=session=alice")
    await stage.status(f"{stage.a.url}/")
    leaked = "cookie" in stage.a.seen[-1].headers
    return not leaked, "sent along" if leaked else "not sent"


async def secrets(stage: Stage) -> Verdict:
    """Calls with a token in query and header, one failing: no log line at INFO contains it"""
    for path in ("/?", "/drop?"):
        await stage.status(stage.a.url + path, "/with-secret")
    stage.service.stop()
    lines = [line for line in stage.service.out + stage.service.err if SECRET in line]
    return not lines, f"in {count(len(lines), 'line')}"


async def redirect(stage: Stage) -> Verdict:
    """A redirect to another host: that host gets no credentials"""
    await stage.status(f"{stage.a.url}/status/302?location={stage.stranger.url}/?", "/with-secret")
    got = [request for request in stage.stranger.seen if "authorization" in request.headers]
    return not got, "followed" if stage.stranger.seen else "not followed"


async def foreign_url(stage: Stage) -> Verdict:
    """A caller passes the URL of an internal host (SSRF): nothing is sent"""
    status = await stage.status(f"{stage.stranger.url}/internal")
    return not stage.stranger.seen, f"{status}, {'sent' if stage.stranger.seen else 'not sent'}"


async def first_tokens(stage: Stage) -> Verdict:
    """100 concurrent first calls to an API with access tokens: they request one token (`oauth2`)"""
    statuses = [stage.status(stage.protected.url, "/protected") for _ in range(100)]
    succeeded = (await asyncio.gather(*statuses)).count("200")
    issued = stage.protected.issued
    return (issued, succeeded) == (1, 100), f"{count(issued, 'request')}, {succeeded} succeed"


async def revoked_token(stage: Stage) -> Verdict:
    """An API revokes the access token during 100 calls: all of them succeed (`oauth2`)"""
    statuses = []
    for number in range(10):
        if number == 5:
            stage.protected.valid.clear()
        calls = (stage.status(stage.protected.url, "/protected") for _ in range(10))
        statuses += await asyncio.gather(*calls)
    return statuses == ["200"] * 100, f"{statuses.count('200')} succeed"


async def cancellations(stage: Stage) -> Verdict:
    """1000 calls are cancelled at every phase: then 100 concurrent calls reach the upstream"""
    for start in range(0, 1000, 50):
        timeouts = (number / 100_000 for number in range(start, start + 50))
        await asyncio.gather(
            *(
                stage.status(f"{stage.a.url}/hang", "/with-timeout", timeout_s=timeout_s)
                for timeout_s in timeouts
            )
        )
    calls = [asyncio.create_task(stage.status(f"{stage.b.url}/gate")) for _ in range(SLOTS)]
    with_all = True
    try:
        async with asyncio.timeout(4):
            await stage.b.wait_for_calls(SLOTS)
    except TimeoutError:
        with_all = False
    reached = stage.b.in_flight
    stage.b.gate.set()
    await asyncio.gather(*calls)
    return with_all, f"{reached} of {SLOTS}"


async def unclosed(stage: Stage) -> Verdict:
    """120 streamed responses are never closed: 8 s later, a call to the upstream succeeds"""
    calls = (stage.status(f"{stage.a.url}/drip", "/unclosed") for _ in range(120))
    await asyncio.gather(*calls)
    await asyncio.sleep(8)
    status = await stage.status(stage.a.url)
    return status == "200", status


async def leaving(stage: Stage) -> Verdict:
    """50 callers leave mid-stream: all their upstream connections are closed within 2 s"""
    async with AsyncExitStack() as streams:
        for _ in range(50):
            stream = stage.caller.stream(
                "GET", "/external/stream", params={"url": f"{stage.a.url}/drip"}
            )
            response = await streams.enter_async_context(stream)
            await anext(response.aiter_raw())
    until = time.monotonic() + 2
    while stage.a.in_flight and time.monotonic() < until:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.05)
    return stage.a.in_flight == 0, f"{stage.a.in_flight} open"


async def moves(stage: Stage) -> Verdict:
    """The upstream moves, and its old address still answers: calls reach the new one within 12 s"""
    url = stage.a.url.replace("localhost", "moving.test")
    moved = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        moved.set()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.2", int(url.rpartition(":")[2])):
        await stage.status(url)
        stage.moving_name.write_text("127.0.0.2", encoding="utf-8")
        started = time.monotonic()
        while not moved.is_set() and time.monotonic() < started + 12:
            await stage.status(url)
            await asyncio.sleep(0.1)
        took = time.monotonic() - started
    return moved.is_set(), f"after {took:.0f} s" if moved.is_set() else "still at the old one"


async def new_certificate(stage: Stage) -> Verdict:
    """A client certificate is replaced, and only the new one is accepted: calls still succeed"""
    statuses = []
    for authority in (stage.bank.first, stage.bank.second):
        stage.bank.issue(authority)
        async with stage.bank.accept_only(authority):
            statuses.append(await stage.status(stage.bank.url))
    return statuses == ["200", "200"], ", then ".join(statuses)


async def sigterm(stage: Stage) -> Verdict:
    """SIGTERM with 50 calls in flight: all of them are answered"""
    calls = [asyncio.create_task(stage.status(f"{stage.a.url}/gate")) for _ in range(50)]
    await stage.a.wait_for_calls(50)
    stage.service.terminate()
    await asyncio.sleep(1)
    stage.a.gate.set()
    answered = (await asyncio.gather(*calls)).count("200")
    return answered == 50, f"{answered} of 50 answered"


async def same_document(stage: Stage) -> Verdict:
    """1000 concurrent calls for one document of a slow upstream: it is called once (`cache`)"""
    calls = [asyncio.create_task(stage.status(stage.documents.url)) for _ in range(1000)]
    await stage.documents.wait_for_calls()
    await asyncio.sleep(1)
    stage.documents.gate.set()
    succeeded = (await asyncio.gather(*calls)).count("200")
    called = len(stage.documents.seen)
    return (called, succeeded) == (1, 1000), f"{count(called, 'request')}, {succeeded} succeed"


async def outage(stage: Stage) -> Verdict:
    """The upstream of an expired document is down: the last good response is served (`cache`)"""
    stage.documents.gate.set()
    await stage.status(stage.documents.url)
    await stage.documents.__aexit__()
    await asyncio.sleep(1.5)
    status = await stage.status(stage.documents.url)
    return status == "200", status


SCENARIOS: list[Scenario] = [
    many_calls,
    cut_keep_alive,
    two_bad_moments,
    no_response,
    drip,
    bomb,
    short_body,
    faults,
    odd_charset,
    cut_order,
    storm,
    pushback,
    dead_upstream,
    crowd,
    neighbour,
    cookies,
    secrets,
    redirect,
    foreign_url,
    first_tokens,
    revoked_token,
    cancellations,
    unclosed,
    leaving,
    moves,
    new_certificate,
    sigterm,
    same_document,
    outage,
]


def count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def documents_of(upstream: Any) -> Any:
    """Return the class of an upstream whose responses may be cached."""

    class Documents(upstream):  # type: ignore[misc]
        async def _answer(self, _: Any, __: Any, writer: asyncio.StreamWriter) -> bool:
            await self.gate.wait()
            head = "content-length: 2\r\ncache-control: max-age=1"
            writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\nok".encode())
            return True

    return Documents


class Bank:
    """An upstream that wants client certificates."""

    def __init__(self, directory: Path) -> None:
        self.first, self.second = trustme.CA(), trustme.CA()
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.authorities = directory / "authorities.pem"
        self.certificate = directory / "client.pem"
        self.first.cert_pem.write_to_path(self.authorities)
        self.issue(self.first)

    def issue(self, authority: trustme.CA) -> None:
        """Replace the client's certificate."""
        certificate = authority.issue_cert("client.example").private_key_and_cert_chain_pem
        certificate.write_to_path(self.certificate)

    @asynccontextmanager
    async def accept_only(self, authority: trustme.CA) -> AsyncIterator[None]:
        """Listen, for clients with a certificate of one authority."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.verify_mode = ssl.CERT_REQUIRED
        self.first.issue_cert("localhost").configure_cert(tls)
        authority.configure_trust(tls)
        async with await asyncio.start_server(answer, HOST, self.port, ssl=tls):
            yield


@contextmanager
def address_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "address")
        file.write_text(HOST, encoding="utf-8")
        yield file


@asynccontextmanager
async def staged(project: Path, upstream: Any, contender: str) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        kinds = (upstream, upstream, protected(upstream), documents_of(upstream), upstream)
        a, b, c, documents, stranger = [await stack.enter_async_context(kind()) for kind in kinds]
        moving_name = stack.enter_context(address_file())
        bank = Bank(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        service = Service(
            [sys.executable, CONTENDERS / f"{contender}.py"],
            project,
            PYTHONPATH="src",
            SECRET=SECRET,
            MOVING_NAME=str(moving_name),
            APP_HTTP__TOTAL_TIMEOUT_S="5",
            APP_HTTP__STREAM_TIMEOUT_S="5",
            APP_UPSTREAMS__A__BASE_URL=a.url,
            APP_UPSTREAMS__B__BASE_URL=b.url,
            APP_UPSTREAMS__C__BASE_URL=c.url,
            APP_UPSTREAMS__C__OAUTH2_TOKEN_URL=f"{c.url}/token",
            APP_UPSTREAMS__C__OAUTH2_CLIENT_ID="survivor",
            APP_UPSTREAMS__C__OAUTH2_CLIENT_SECRET=SECRET,
            APP_UPSTREAMS__DOCUMENTS__BASE_URL=documents.url,
            APP_UPSTREAMS__DOCUMENTS__CACHE_MAX_BYTES="1000000",
            APP_UPSTREAMS__BANK__BASE_URL=bank.url,
            APP_UPSTREAMS__BANK__CA_BUNDLE=str(bank.authorities),
            APP_UPSTREAMS__BANK__CLIENT_CERT=str(bank.certificate),
            APP_UPSTREAMS__MOVING__BASE_URL=a.url.replace("localhost", "moving.test"),
        )
        await asyncio.to_thread(service.__enter__)
        stack.push(service)
        caller = httpx.AsyncClient(
            base_url=f"http://{HOST}:{service.port}",
            timeout=30,
            # A connection for each call, like independent callers.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        await stack.enter_async_context(caller)
        yield Stage(service, caller, a, b, c, documents, stranger, moving_name, bank)


async def verdict(project: Path, upstream: Any, contender: str, scenario: Scenario) -> Verdict:
    async with staged(project, upstream, contender) as stage:
        return await scenario(stage)


def cell(survived: bool, observed: str) -> str:
    return f"yes: {observed}" if survived else f"**no**: {observed}"


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        features = "retry, circuit_breaker, oauth2, cache"
        project = rendered(Path(directory), upstreams="", features=features)
        upstream = misbehaving_upstream(project)
        survived = Counter[str]()
        contenders = ("plain", "generated")
        print("| Situation: expected result | Plain shared client | Generated service |")
        print("|---|---|---|")
        for number, scenario in enumerate(SCENARIOS, 1):
            print(f"{number:2} of {len(SCENARIOS)}: {scenario.__doc__}", file=sys.stderr)
            verdicts = await asyncio.gather(
                *(verdict(project, upstream, name, scenario) for name in contenders)
            )
            survived.update(
                name for name, (yes, _) in zip(contenders, verdicts, strict=True) if yes
            )
            cells = (scenario.__doc__, *(cell(*verdict) for verdict in verdicts))
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        scores = (f"**{survived[name]} of {len(SCENARIOS)}**" for name in contenders)
        print(f"| **Survived** | {' | '.join(scores)} |")


if __name__ == "__main__":
    asyncio.run(main())
