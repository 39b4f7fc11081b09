import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.charset import encoding_of

from ..upstream import Upstream

TEXTS = {
    "Grüße": ["utf-8-sig", "utf-32", "iso_8859-1", "ibm850"],
    "日本": ["utf-16", "UTF-16LE", "sjis", "iso-2022-jp"],
    "Душанбе": ["koi8-t"],
    "한국": ["ks_c_5601-1987"],
    "香港": ["big5-hkscs"],
}


@pytest.mark.parametrize(
    ("charset", "text"), [(charset, text) for text in TEXTS for charset in TEXTS[text]]
)
async def test_text_is_read_by_its_charset(
    client: httpx.AsyncClient, upstream: Upstream, charset: str, text: str
) -> None:
    """Every charset that Python knows is decoded, under any of its names, whole and streamed."""
    upstream.body = text.encode(charset)
    for value in (charset, f'"{charset}"'):
        path = f"/body?content-type=text/plain;charset={value}"
        assert (await client.get(path)).text == text
        async with client.stream("GET", path) as response:
            assert [line async for line in response.aiter_lines()] == [text]


@pytest.mark.parametrize(
    "charset",
    [
        *("zlib", "hex", "rot13", "idna", "punycode", "undefined", "unicode_escape", "mbcs"),
        *("aliases", "a.b", "nonsense", "", '"', "utf\0-16", "*=a%00b''utf-16"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param('utf-16; x="' + ";" * 60_000, id="slow to parse"),
    ],
)
def test_charset_that_is_not_for_text(charset: str) -> None:
    """With an invalid charset or a codec that is not for text, a body is read as UTF-8."""
    equals = "" if "=" in charset else "="
    content_type = f"text/plain; charset{equals}{charset}"

    assert encoding_of(httpx.Response(200, headers={"Content-Type": content_type})) == "utf-8"


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", b"gr\xfcn", "gr�n"),
        ("utf-16", "Grün".encode("utf-16-le"), "Grün"),
        ("utf-32", "Grün".encode("utf-32-le"), "Grün"),
        ("iso-2022-jp", b"hello \x1b((((((((((", "hello \x1b(((((((((("),
    ],
)
def test_bytes_that_are_not_in_the_charset(charset: str, body: bytes, text: str) -> None:
    """Invalid bytes are replaced; UTF-16 without a byte order mark is little-endian."""
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    response = httpx.Response(200, headers=headers, content=body)
    response.encoding = encoding_of(response)

    assert response.text == text
