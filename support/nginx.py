"""nginx as an upstream, or in front of one."""

import os
import shutil
from pathlib import Path

NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/errors;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/a;
    proxy_temp_path {directory}/b;
    fastcgi_temp_path {directory}/c;
    uwsgi_temp_path {directory}/d;
    scgi_temp_path {directory}/e;
    {servers}
}}
"""


def find_program(name: str) -> str:
    """Return a program's path; it may be where only root's PATH looks."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or name


def nginx_command(directory: Path) -> list[str]:
    """Return the command that starts nginx with the configuration in a directory."""
    configuration = str(directory / "nginx.conf")
    return [find_program("nginx"), "-e", "stderr", "-p", str(directory), "-c", configuration]


def configure_nginx(directory: Path, servers: str) -> None:
    """Write the configuration; ``servers`` is what belongs into its ``http`` block."""
    text = NGINX.format(directory=directory, servers=servers)
    (directory / "nginx.conf").write_text(text, encoding="utf-8")
