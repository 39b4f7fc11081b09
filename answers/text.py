"""Rules for free text, for email addresses, and for lists separated by commas."""

import re
import unicodedata

TEXT_LIMIT = 200
# They reorder what is shown: "Trojan Source", CVE-2021-42574.
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _is_unsafe(character: str) -> bool:
    return character in BIDIRECTIONAL or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def text_error(text: str) -> str | None:
    """Return the reason why no question accepts this text, or None."""
    if any(map(_is_unsafe, text)):
        return "contains a control character, a line break or a bidirectional override"
    if re.search(r"\{[{%#]", text):
        return "contains Jinja syntax, which is not allowed"
    if len(text) > TEXT_LIMIT:
        return f"has more than {TEXT_LIMIT} characters"
    return None


def clean(text: str) -> str:
    """Remove from a text what `text_error` rejects."""
    text = "".join(character for character in text if not _is_unsafe(character))
    return re.sub(r"\{(?=[{%#])", "", text)[:TEXT_LIMIT]


def blank_error(text: str) -> str | None:
    return None if text.strip() else "is blank"


def email_error(address: str) -> str | None:
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    label = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    address_form = rf"(?=.{{1,64}}@){atom}(\.{atom})*@{label}(\.{label})+"
    return None if re.fullmatch(address_form, address) else "is not an email address"


def corrected_email(address: str) -> str | None:
    """Return the address in `Name <address>` without its whitespace, if it is valid."""
    address = re.sub(r"^.*<|>.*$|\s", "", address)
    return None if email_error(address) else address


def entries(text: str) -> list[str]:
    """Split a list at its commas, and strip the spaces around its entries."""
    return [entry.strip(" ") for entry in text.split(",")] if text.strip(" ") else []
