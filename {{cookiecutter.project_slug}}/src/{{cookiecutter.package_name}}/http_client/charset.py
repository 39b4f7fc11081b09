"""The charset of a response: which codec reads its text."""

import codecs
import contextlib
import encodings
from email.message import Message
from encodings import aliases
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import {{ cookiecutter.__httpx }}

# The time to parse grows with the square of the length: 2.5 s for 64 KiB of quoted semicolons.
_LONGEST = 1024
# Not for whole texts: these raise for most bytes, or read escapes, also those of lone surrogates.
_NOT_TEXT = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
# These raise for some bytes even when asked to replace what they cannot read.
_STRICT = ("iso2022", "utf-16", "utf-32")


def encoding_of(response: httpx.Response) -> str:
    """The codec for the text of a response: its charset's, or UTF-8 if that is not for text.

    httpx accepts each of Python's codecs, of which zlib unpacks bombs and some raise.
    """
    content_type = response.headers.get("Content-Type", "")
    return _encoding(content_type) if len(content_type) <= _LONGEST else "utf-8"


@lru_cache(256)
def _encoding(content_type: str) -> str:
    message = Message()
    message["Content-Type"] = content_type
    with contextlib.suppress(LookupError, ValueError):
        charset = message.get_content_charset("utf-8")
        name = encodings.normalize_encoding(charset).replace(".", "_")
        # Python remembers each unknown name for good, so codecs.lookup() is not asked for those.
        if name in aliases.aliases or find_spec(f"encodings.{name}") is not None:
            codec = codecs.lookup(charset)
            if codec._is_text_encoding and codec.name not in _NOT_TEXT:
                return f"lenient_{codec.name}" if codec.name.startswith(_STRICT) else charset
    return "utf-8"


class _Lenient(codecs.IncrementalDecoder):
    """Read on where a codec raises: as little-endian, like browsers, or as UTF-8."""

    def __init__(self, name: str, errors: str = "strict") -> None:
        super().__init__(errors)
        self._decoder = codecs.getincrementaldecoder(name)(errors)
        self._next = f"{name}_le" if name in {"utf_16", "utf_32"} else "utf_8"

    def decode(self, data: Any, final: bool = False) -> str:
        pending, _ = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final)
        except UnicodeError:
            self._decoder = codecs.getincrementaldecoder(self._next)(self.errors)
            return self._decoder.decode(pending + data, final)


def _find(name: str) -> codecs.CodecInfo | None:
    if not name.startswith("lenient_"):
        return None
    name = name.removeprefix("lenient_")
    strict = codecs.lookup(name)
    return codecs.CodecInfo(
        strict.encode, strict.decode, incrementaldecoder=partial(_Lenient, name), name=name
    )


codecs.register(_find)
