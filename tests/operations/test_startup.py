"""The start does no work that serving does not need."""

import sys

from support.generated import Generated
from support.process import succeed
from support.service import Service

# A start that reports each garbage collection on stderr.
REPORTING = """
import gc, sys
from my_service.__main__ import main
gc.callbacks.append(lambda phase, info: print(phase, info, file=sys.stderr, flush=True))
main()
"""


def test_no_garbage_is_collected_before_the_service_serves(everything: Generated) -> None:
    """Collections would take a tenth of the start and find little."""
    command = [sys.executable, "-c", REPORTING]
    with Service(command, everything.path, PYTHONPATH="src") as process:
        found = list(process.err)
        process.stop()

    assert found == []
    assert process.finished


def test_the_supervisor_does_not_import_the_application(everything: Generated) -> None:
    """Only its workers do: they would start later, and it would take 27 MiB more."""
    program = "import sys, my_service.supervisor; print(*sys.modules)"
    imported = succeed(everything.path, sys.executable, "-c", program, PYTHONPATH="src").split()

    assert "my_service.supervisor" in imported
    assert not {"fastapi", "aiohttp", "httpcore2", "my_service.app"} & set(imported)
