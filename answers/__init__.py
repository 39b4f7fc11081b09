"""The answers to the template's questions: which are valid, and how they reach the files.

`extension.py` joins the rest to cookiecutter; the table of rules is in `rules.py`. This file must
run on each Python that cookiecutter supports, to name the one that the rest needs.
"""

import contextlib
import re
import sys
from pathlib import Path

from cookiecutter import __version__  # type: ignore[import-untyped]
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]

PYTHON = sys.version_info[:2]
COOKIECUTTER = tuple(map(int, re.findall(r"\d+", __version__)[:2]))


def remove_byte_code() -> None:
    """Leave nothing in the template.

    cruft checks two revisions out in one directory, where byte code of the same second can outlive
    its source.
    """
    for name, module in list(sys.modules.items()):
        spec = module.__spec__ if name.partition(".")[0] == __name__ else None
        if spec and spec.cached:
            with contextlib.suppress(OSError):  # a read-only template, or another process
                Path(spec.cached).unlink()
                Path(spec.cached).parent.rmdir()


# 2.4 is the first that runs a hook before it reads the answers.
if PYTHON < (3, 10) or COOKIECUTTER < (2, 4):
    remove_byte_code()
    found = f"cookiecutter {__version__} on Python {PYTHON[0]}.{PYTHON[1]}"
    message = (
        "This template needs cookiecutter 2.4 or newer, on Python 3.10 or newer "
        f"(got {found}). Try: uvx --python 3.11 cookiecutter@latest"
    )
    # cruft prints a traceback for any other exception.
    raise SystemExit(message) if "cruft" in sys.modules else FailedHookException(message)
