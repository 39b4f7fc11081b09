"""Prepare what can be prepared here, then say what to type next.

All of it is a convenience: whatever fails, the project stays and this ends well. It runs each
time, so it imports little: what starts other programs takes twice as long as the start of Python.
"""

import os
import sys

SLUG = "{{ cookiecutter.project_slug | escaped }}"
UPSTREAMS = "{{ cookiecutter.upstreams | escaped }}"
DESTINATION = "{{ cookiecutter | destination | escaped }}"
LOCK_SECONDS = 60


def main() -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    remove_empty_directories()
    # Where cruft writes a project only to compare it, a repository or a lock would be a change.
    if DESTINATION:
        make_repository()
        lock_dependencies()
        say_what_is_next()


def remove_empty_directories() -> None:
    """Options leave out files by name; cookiecutter makes their directories all the same."""
    for top in (".github", "deploy", "monitoring"):
        for directory, _, _ in os.walk(top, topdown=False):
            try:  # noqa: SIM105 - what would say it shorter has to be imported
                os.rmdir(directory)
            except OSError:
                pass


def make_repository() -> None:
    if is_in_a_repository(os.getcwd()):
        return
    command = ("git", "init", "--quiet", "--initial-branch=main")
    if not (is_installed("git") and succeeds(*command, seconds=10)):
        print("There is no Git repository yet: type `git init` when git is installed.")


def is_in_a_repository(directory: str) -> bool:
    parent = os.path.dirname(directory)
    return os.path.exists(os.path.join(directory, ".git")) or (
        parent != directory and is_in_a_repository(parent)
    )


def lock_dependencies() -> None:
    if os.path.exists("uv.lock"):
        return
    if not is_installed("uv"):
        print("uv is not installed yet: type `pipx install uv`, or see https://docs.astral.sh/uv")
        return
    print("Locking the dependencies ...", flush=True)
    if not succeeds("uv", "lock", "--quiet", "--no-python-downloads", seconds=LOCK_SECONDS):
        print("That failed. `uv sync` will lock them, and say what is wrong.")


def is_installed(program: str) -> bool:
    return any(
        os.path.isfile(os.path.join(directory, program + suffix))
        for directory in os.get_exec_path()
        for suffix in ("", ".exe")
    )


def succeeds(*command: str, seconds: float) -> bool:
    import subprocess  # noqa: PLC0415 - see above

    try:
        done = subprocess.run(  # noqa: S603 - the commands are written here
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def say_what_is_next() -> None:
    path = "external" if UPSTREAMS.strip() else "readyz"
    print(
        f"""
{SLUG} is ready. Start it:

  cd {DESTINATION}
  uv sync
  uv run {SLUG}

and call it, in another terminal:

  curl http://127.0.0.1:8000/{path}

README.md tells the rest.
""".rstrip()
    )


main()
