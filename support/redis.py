"""Redis as a process that a test can stop, kill and start again."""

import signal
from pathlib import Path

import trustme

from support.loopback import HOST, free_port
from support.process import Background, clean_environment, succeed

PASSWORD = "s3cret-of-redis"  # noqa: S105 - logs are searched for it


class Redis(Background):
    """Debian's server, without persistence."""

    def __init__(self, directory: Path, tls: bool = False) -> None:
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@{HOST}:{self.port}/0"
        options = ["--bind", HOST, "--requirepass", PASSWORD, "--save", "", "--dir", str(directory)]
        if tls:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(directory / "ca.pem")
            authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(
                directory / "redis.pem"
            )
            self.url = f"rediss{self.url[5:]}?ssl_ca_certs={directory / 'ca.pem'}"
            options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            for option, name in {"cert": "redis", "key": "redis", "ca-cert": "ca"}.items():
                options += [f"--tls-{option}-file", str(directory / f"{name}.pem")]
        else:
            options += ["--port", str(self.port)]
        super().__init__(["redis-server", *options], directory, clean_environment())

    def is_ready(self) -> bool:
        return any("Ready to accept connections" in line for line in self.out)

    def start(self) -> None:
        """Start it, for the first time or again."""
        self.__enter__()

    def kill(self) -> None:
        """Kill it and wait for its end."""
        self.send(signal.SIGKILL)
        self.wait()

    def ask(self, *words: str) -> list[str]:
        """Run a command, as an operator would, and return the words of its result."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return succeed(self._directory, *command, REDISCLI_AUTH=PASSWORD).split()
