"""The charset of a response: the codec that decodes its text."""

import codecs
import contextlib
import encodings
from email.message import Message
from encodings import aliases
from functools import lru_cache
from importlib.util import find_spec

import {{ cookiecutter.__httpx }}

# The time to parse grows with the square of the length: 2.5 s for 64 KiB of quoted semicolons.
_LONGEST = 1024
# These raise for most bytes, or decode escapes, even those of lone surrogates.
_NOT_TEXT = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
# These raise for some bytes even with errors="replace".
_STRICT = ("iso2022", "utf-16", "utf-32")


def encoding_of(response: httpx.Response) -> str:
    """Return the codec for the text of a response; UTF-8 if its charset is missing or invalid.

    httpx accepts all of Python's codecs, of which zlib unpacks bombs and others raise. A body that
    its charset cannot decode is read as UTF-8, or as little-endian UTF-16 and UTF-32, as in
    browsers.
    """
    # headers.get() first guesses the encoding of all headers, which takes 2 µs.
    values = [value for name, value in response.headers.raw if name.lower() == b"content-type"]
    content_type = b", ".join(values).decode("latin-1")
    encoding = _encoding(content_type) if len(content_type) <= _LONGEST else "utf-8"
    if encoding.startswith(_STRICT) and response.is_closed:
        try:
            "".join(codecs.iterdecode([response.content], encoding, "replace"))
        except UnicodeError:
            return f"{encoding}-le" if encoding in {"utf-16", "utf-32"} else "utf-8"
    return encoding


@lru_cache(256)
def _encoding(content_type: str) -> str:
    message = Message()
    message["Content-Type"] = content_type
    with contextlib.suppress(LookupError, ValueError):
        charset = message.get_content_charset("utf-8")
        name = encodings.normalize_encoding(charset).replace(".", "_")
        # codecs.lookup() caches each unknown name forever, so it is called only for known ones.
        if name in aliases.aliases or find_spec(f"encodings.{name}") is not None:
            codec = codecs.lookup(charset)
            if codec._is_text_encoding and codec.name not in _NOT_TEXT:
                return codec.name if codec.name.startswith(_STRICT) else charset
    return "utf-8"
