"""The shape of a case: one request, the script of the server that answers it, one outcome."""

import zlib
from dataclasses import dataclass
from enum import Enum, auto


class Step(Enum):
    """What a script does besides sending bytes. Adjacent bytes leave in one packet."""

    TAKEN = auto()
    """Wait until the client has read everything sent so far: the next bytes arrive later."""
    IDLE = auto()
    """Wait until the call has ended."""
    BODY = auto()
    """Read the request's body, in a script that starts early."""
    HALF = auto()
    """Close the sending half, and keep reading."""
    FIN = auto()
    """Close the connection (over TLS with close_notify)."""
    CUT = auto()
    """Close the connection; over TLS without close_notify."""
    RST = auto()
    """Reset the connection, after the client has read everything sent so far."""
    NEVER = auto()
    """Do nothing until the client leaves."""
    FULL = auto()
    """Accept no connection until the call has ended."""


Script = tuple[bytes | Step, ...]

OWN = b"/own/"
"""Every server answers a target under this path with the target itself, whatever its script."""
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NEW = "new connection"
STREAMED = "kept connection, streamed"
UNREAD = "kept connection, body left unread"
NOTHING_SENT = "LocalProtocolError, nothing sent"
PARTLY_SENT = "LocalProtocolError, partly sent"
VARIES = "varies"


@dataclass(frozen=True)
class Case:
    """A request, a scripted answer, and the outcome, the same on every transport.

    ``source`` says where the outcome comes from. Plain httpx must have it too, or else the
    outcome in ``plain``, which is VARIES where it depends on timing.
    """

    name: str
    script: Script
    expected: str
    source: str
    plain: str = ""
    shows: str = "content"
    """The rest of the outcome: content, upload, request, extensions or a header's name."""
    reused: bool | None = None
    """Whether the next call uses the same connection; None if either is fine."""
    hasty: bool = False
    """The next call starts before the event loop looks at the connection again."""
    early: bool = False
    """The script starts after the request's head, not after its body."""
    tls: bool = False
    modes: tuple[str, ...] = (NEW, STREAMED)
    """How the call is made; with UNREAD, only what follows it is checked."""
    method: str = "GET"
    target: str = "/case"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    without: tuple[str, ...] = ()
    """Headers that httpx adds and the caller deletes again."""
    content: bytes | tuple[bytes, ...] = b""
    """A tuple is streamed. If the script starts early, its first bytes follow the first chunk."""
    raw_target: bytes | None = None
    """The ``target`` extension."""
    timeout: tuple[tuple[str, float], ...] = ()
    """By phase, in seconds; long for the others."""


def shorten(text: str) -> str:
    """Replace the middle of a long text with its length and checksum."""
    if len(text) <= 300:
        return text
    checksum = zlib.crc32(text.encode())
    return f"{text[:30]}[{len(text)} characters, CRC {checksum:08x}]{text[-10:]}"
