"""The pages of the repository and of a project: their links lead somewhere, and they are short."""

import re
from pathlib import Path

import pytest

from support.rendering import EVERYTHING, NOTHING, Bake
from support.repository import ROOT, tracked

LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([\w-]+))?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and GitLab write them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{page.name}: {path}#{anchor}")
    return broken


def test_links_of_the_repository() -> None:
    """Each link within the repository leads to a file, and to a heading in it."""
    pages = [path for path in tracked() if path.suffix == ".md" and "{{" not in str(path)]

    assert len(pages) > 10
    assert [link for page in pages for link in broken_links(page)] == []


@pytest.mark.parametrize("answers", [{}, EVERYTHING, NOTHING], ids=["default", "all", "nothing"])
def test_links_of_a_project(bake: Bake, answers: dict[str, object]) -> None:
    """Each link within a project leads to a file, and to a heading in it."""
    pages = list(bake(**answers).path.rglob("*.md"))

    assert len(pages) == 5
    assert [link for page in pages for link in broken_links(page)] == []


def test_the_first_pages_are_short(bake: Bake) -> None:
    """A stranger reads the README in a few minutes, and an owner reads theirs."""
    texts = (ROOT / "README.md").read_text(encoding="utf-8"), bake().read("README.md")
    words = [len(text.split()) for text in texts]

    assert words[0] <= 950
    assert words[1] <= 1200
