"""The files of this repository."""

from pathlib import Path

from support.process import succeed

ROOT = Path(__file__).parent.parent


def tracked() -> list[Path]:
    # The checkout may belong to somebody else, as it does in many containers.
    listed = succeed(ROOT, "git", "-c", "safe.directory=*", "ls-files", "-z")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).exists()]
