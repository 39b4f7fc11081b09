"""An upstream on loopback that acts only when a test calls it, one packet at a time.

It needs no event loop. Between two turns of the client's loop the test decides what the upstream
does next, so that any order of events can be tried and repeated.
"""

import contextlib
import itertools
import socket
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_READ = 64 * 1024  # what httpcore takes in one piece
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True)
class SteppedAnswer:
    """A response, and what the upstream sends around it."""

    status: int = 200
    framing: str = "length"
    """``length``, ``chunked``, or ``eof`` for a body that the end of the connection ends."""
    size: str = "small"
    """Of the body: ``empty``, ``small``, ``large``, or ``aligned`` with the client's reads."""
    interim: bool = False
    """Whether a 103 precedes the response."""
    closes: bool = False
    """Whether it has ``Connection: close``; the upstream leaves the closing to the client."""
    surplus: bytes = b""
    """What follows the response in the same packet."""
    cuts: tuple[int, ...] = ()
    """Where the response is split into packets, in thousandths of its length."""


@dataclass(eq=False)
class Exchange:
    """A request that has arrived, and what was sent in return."""

    method: str
    target: str
    kept: bool
    """Whether its connection had served another one before."""
    status: int = 0
    """Of the response, once the upstream has begun to answer."""
    body: bytes = b""
    """What the caller should receive, without framing."""
    whole: bool = False
    """Whether the complete response was sent."""
    broken: bool = False
    """Whether the connection was cut before the response was complete, or was reset."""


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, accepted: socket.socket, exchanges: dict[str, list[Exchange]]) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = accepted
        self._client = accepted.getpeername()
        self._exchanges = exchanges
        self._received = b""
        self._packets: list[bytes] = []
        self._head_size = self._size = self._sent = 0
        self._ends = False
        self._spent = ""
        self.exchange: Exchange | None = None
        """The exchange that began last."""
        self.open = True

    @property
    def state(self) -> str:
        """``closed``, ``new``, ``waiting`` for an answer, ``answering``, or ``idle``."""
        if not self.open:
            return "closed"
        if self._packets:
            return "answering"
        if self.exchange is None or self._received:
            return "new"
        return "idle" if self.exchange.status else "waiting"

    def receive(self) -> None:
        """Take what has arrived; a complete request begins an exchange."""
        while self.open:
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._received += data
            if not data:
                self._close()
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        request_line, *lines = head.decode().split("\r\n")
        method, target, _ = request_line.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        assert "cookie" not in headers, "one caller's cookie was sent with another's call"
        assert rest == (target.encode() if method == "POST" else b""), (
            f"a request was garbled: {self._received!r}"
        )
        assert self.exchange is None or self.exchange.whole, (
            "a request was sent before the previous one was answered"
        )
        assert not self._spent, f"a request was sent after {self._spent}"
        self._received = b""
        self.exchange = Exchange(method, target, kept=self.exchange is not None)
        self._exchanges[target].append(self.exchange)

    def answer(self, answer: SteppedAnswer) -> None:
        """Send the first packet of the answer to the waiting request."""
        assert self.exchange is not None
        head, self.exchange.body, framed = _response(self.exchange, answer)
        self.exchange.status = answer.status
        self._sent, self._head_size, self._size = 0, len(head), len(head + framed)
        self._ends = answer.framing == "eof"
        if answer.closes or self._ends:
            self._spent = "Connection: close"
        if answer.surplus.strip():
            self._spent = "surplus bytes"
        wire = head + framed
        cuts = [0, *sorted(cut * len(wire) // 1000 for cut in answer.cuts), len(wire)]
        packets = [wire[start:end] for start, end in itertools.pairwise(cuts)]
        packets[-1] += answer.surplus
        self._packets = [packet for packet in packets if packet]
        self.send_next()

    def send_next(self) -> None:
        """Send the next packet of the answer, or as much of it as the client takes."""
        assert self.exchange is not None
        packet = self._packets.pop(0)
        try:
            sent = self._socket.send(packet)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close()
            return
        self._sent += sent
        self.exchange.whole = self._sent >= self._size
        if sent < len(packet) and not self.exchange.whole:  # late surplus is another matter
            self._packets.insert(0, packet[sent:])
        if self._ends and not self._packets:
            self._close()

    def send_unrequested(self, data: bytes) -> None:
        """Send bytes, unless a request has been written to this connection meanwhile.

        If the two crossed on the wire, no client could distinguish the bytes from the beginning of
        its response. So both directions are empty before the client's loop turns again.
        """
        with _own_socket(self._client) as client:
            _wait_for_delivery(client, self._socket)
            self.receive()
            if self.state != "idle":
                return
            with contextlib.suppress(OSError):  # the client has closed its end
                self._socket.send(data)
            _wait_for_delivery(self._socket, client)
        if data.strip():
            self._spent = "unrequested bytes"

    def cut(self, *, reset: bool) -> None:
        """Close the connection with FIN or RST."""
        if self.exchange is not None:
            at_end = self._ends and self._sent >= self._head_size and not reset
            if at_end and not self.exchange.whole:
                self.exchange.body = self.exchange.body[: self._sent - self._head_size]
                self.exchange.whole = True
            self.exchange.broken = reset or not self.exchange.whole
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._close()

    def _close(self) -> None:
        self.open = False
        self._packets.clear()
        self._socket.close()


class SteppedUpstream:
    """Its ``peers`` are the connections that were accepted so far."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.peers: list[Peer] = []
        self.exchanges: dict[str, list[Exchange]] = defaultdict(list)
        """By target, in the order of arrival."""

    def receive(self) -> None:
        """Accept connections and take requests, as far as they have arrived."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.peers.append(Peer(self._listener.accept()[0], self.exchanges))
        for peer in self.peers:
            peer.receive()

    def go_on(self) -> None:
        """Send the next packet on every connection with a request."""
        for peer in self.peers:
            if peer.state == "waiting":
                peer.answer(SteppedAnswer())
            elif peer.state == "answering":
                peer.send_next()

    def count(self, state: str) -> int:
        """The number of connections in a state."""
        return sum(peer.state == state for peer in self.peers)

    def close(self) -> None:
        """Close every socket."""
        self._listener.close()
        for peer in self.peers:
            if peer.open:
                peer.cut(reset=True)


def _response(exchange: Exchange, answer: SteppedAnswer) -> tuple[bytes, bytes, bytes]:
    """The head, the body, and the body as it is framed; each names the request's target."""
    mark = f"<{exchange.target}>".encode()
    copies = {"empty": 0, "small": 2, "large": 50_000, "aligned": _READ}[answer.size]
    body = mark * copies
    if answer.size == "aligned":
        body = body[: _READ - len(_head(exchange.target, answer, 10_000))]
    head = _head(exchange.target, answer, len(body))
    if exchange.method == "HEAD" or answer.status in _NO_BODY:
        return head, b"", b""
    if answer.framing != "chunked":
        return head, body, body
    half = len(body) // 2
    chunks = [chunk for chunk in (body[:half], body[half:]) if chunk]
    framed = b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks])
    return head, body, framed + b"0\r\n\r\n"


def _head(target: str, answer: SteppedAnswer, length: int) -> bytes:
    lines = ["HTTP/1.1 103 Early Hints", "X-Answer-To: nobody", ""] if answer.interim else []
    lines += [f"HTTP/1.1 {answer.status} Whatever", f"X-Answer-To: {target}"]
    lines += [f"Set-Cookie: session={target}"]
    if answer.closes:
        lines.append("Connection: close")
    if answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    if answer.framing == "length" and answer.status != 204:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


@contextlib.contextmanager
def _own_socket(address: tuple[str, int]) -> Iterator[socket.socket | None]:
    """This process's socket with this address, if it is open."""
    for entry in Path("/dev/fd").iterdir():
        try:
            opened = socket.socket(fileno=int(entry.name))
        except OSError:  # it is not a socket
            continue
        try:
            if opened.getsockname() == address:
                yield opened
                return
        finally:
            opened.detach()
    yield None


def _wait_for_delivery(sender: socket.socket | None, receiver: socket.socket | None) -> None:
    """Wait until what one end has sent has arrived at the other: a busy kernel delivers late."""
    with contextlib.suppress(OSError):
        for _ in range(10_000):
            if not (sender and receiver) or _count(receiver, 128) >= _count(sender, 200):
                return
            time.sleep(0.0001)


def _count(opened: socket.socket, offset: int) -> int:
    """A counter of Linux's tcp_info, at its offset: bytes_received (128) or bytes_sent (200)."""
    info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 208)
    return int.from_bytes(info[offset : offset + 8], sys.byteorder)
