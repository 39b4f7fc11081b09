"""The licence: the text that was chosen, word for word, in the author's name."""

import hashlib
import tomllib

import pytest

from support.rendering import Bake

# SHA-256 of the texts on choosealicense.com, without the line that names the author.
PUBLISHED = {
    "MIT": "c9b7c49cdeb4ccab2f2cb69e67f3405518e4bcf611bd3b01de101b070659d11d",
    "Apache-2.0": "68e009fb7503967d9495af550c540729f7dd92a711f7c3835fae2d86d5ac8683",
    "BSD-3-Clause": "358810aacba004cd9d0e1fca170b17bc1dda00761f0b2be146e710535191a2e6",
}
NOTICES = {
    "MIT": "Copyright (c) {}\n",
    "Apache-2.0": "   Copyright {}\n",
    "BSD-3-Clause": "Copyright (c) {}\n",
    "Proprietary": "Copyright (c) {}. All rights reserved.\n",
}
AUTHOR = 'Zoë "Z" O\'Neil & Söhne {x} \\ # <b> $HOME 🦊'


@pytest.mark.parametrize("licence", PUBLISHED)
def test_the_text_is_the_published_one(bake: Bake, licence: str) -> None:
    """Lawyers and licence scanners find what they know; only the notice is the project's."""
    text = bake(license=licence, author_name="Ada").read("LICENSE")
    published = text.replace(NOTICES[licence].format("Ada"), "")

    assert PUBLISHED[licence] == hashlib.sha256(published.encode()).hexdigest()


def test_a_proprietary_project_grants_nothing(bake: Bake) -> None:
    """The notice is short, and gives no permission."""
    text = bake(license="Proprietary").read("LICENSE")

    assert "may not be used, copied, modified" in text
    assert "hereby granted" not in text
    assert len(text.splitlines()) < 10


@pytest.mark.parametrize(("licence", "notice"), NOTICES.items(), ids=NOTICES.keys())
def test_the_author_is_named_as_written(bake: Bake, licence: str, notice: str) -> None:
    """The author's name arrives byte for byte, whatever it holds."""
    text = bake(license=licence, author_name=AUTHOR).read("LICENSE")

    assert 1 == text.count(notice.format(AUTHOR))


@pytest.mark.parametrize("licence", NOTICES)
def test_the_metadata_names_the_same_licence(bake: Bake, licence: str) -> None:
    """Package tools read the choice as an SPDX expression, and find the text."""
    project = tomllib.loads(bake(license=licence).read("pyproject.toml"))["project"]

    expected = "LicenseRef-Proprietary" if licence == "Proprietary" else licence
    assert (expected, ["LICENSE"]) == (project["license"], project["license-files"])
