"""How HTTP/1.1 looks on the wire, as tables: every transport must have the same outcomes."""

from .case import Case
from .requests import REQUESTS
from .responses import RESPONSES

CASES: dict[str, Case] = {f"response: {case.name}": case for case in RESPONSES} | {
    f"request: {case.name}": case for case in REQUESTS
}
