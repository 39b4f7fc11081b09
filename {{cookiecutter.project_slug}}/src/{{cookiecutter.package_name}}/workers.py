"""Several processes that serve as one: those that are killed are replaced, and all stop together.

uvicorn supervises them; here is what differs, so that many stop and fail as one does.
"""

import logging
import multiprocessing
import signal
import sys
from threading import Thread
from typing import Any

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

log = logging.getLogger(__name__)


def run(app: str, **options: Any) -> None:
    """Do as ``uvicorn.run`` does for one worker, with its exit codes."""
    config = uvicorn.Config(app, **options)
    supervisor = Supervisor(config, [config.bind_socket()])
    supervisor.run()
    if supervisor.stopped_by_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    sys.exit(supervisor.exit_code)


class Supervisor(Multiprocess):
    """Starts workers on one socket, and keeps as many."""

    exit_code = 0
    stopped_by_sigterm = False

    def keep_subprocess_alive(self) -> None:
        """Replace workers that were killed; stop when one fails, as its successors would, too.

        There is no ping: it would kill workers that are slow to start, again and again.
        """
        if self.should_exit.is_set():
            return
        for index, worker in enumerate(self.processes):
            if worker.exitcode is None:
                continue
            log.error("worker ended", extra={"worker": worker.pid, "exit_code": worker.exitcode})
            if worker.exitcode > 0:
                self.exit_code = worker.exitcode
                self.should_exit.set()
                return
            self.processes[index] = Process(self.config, self.sockets)
            self.processes[index].start()

    def terminate_all(self) -> None:
        """Stop listening first: calls would be taken in for workers that have left."""
        for socket in self.sockets:
            socket.close()
        super().terminate_all()

    def handle_term(self) -> None:
        super().handle_term()
        self.stopped_by_sigterm = True


def end_with_parent() -> None:
    """Let this worker stop as by SIGTERM when its supervisor is killed, and not serve on unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        signal.raise_signal(signal.SIGTERM)

    Thread(target=follow, daemon=True).start()
