"""Create a Git repository and a lock file, then print the next commands.

These are conveniences: if one fails, the project stays and this hook succeeds. It runs at each
generation, so it imports little: `subprocess` alone takes twice as long as the start of Python.
"""

import os
import sys

SLUG = "{{ cookiecutter.project_slug | escape_python }}"
UPSTREAMS = "{{ cookiecutter.upstreams | escape_python }}"
PYTHON = "{{ cookiecutter.python_version | escape_python }}"
DESTINATION = "{{ cookiecutter | destination | escape_python }}"
LOCK_SECONDS = 60
# Variables by which git and uv would change another repository or project.
ELSEWHERE = ("GIT_", "UV_PROJECT", "UV_WORKING_DIR")


def main() -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    remove_empty_directories()
    # cruft renders some projects only to compare them: a repository or a lock would be a change.
    if DESTINATION:
        make_repository()
        lock_dependencies()
        print_next_steps()


def remove_empty_directories() -> None:
    """Remove the directories of files that were not chosen, which cookiecutter makes anyway."""
    for top in (".github", "deploy", "monitoring"):
        for directory, _, _ in os.walk(top, topdown=False):
            try:  # noqa: SIM105 - contextlib would have to be imported
                os.rmdir(directory)
            except OSError:
                pass


def make_repository() -> None:
    if is_in_a_repository(os.getcwd()):
        return
    command = ("git", "init", "--quiet", "--initial-branch=main")
    if not (is_installed("git") and succeeds(*command, seconds=10)):
        print("Could not create a Git repository: install git and run `git init`.")


def is_in_a_repository(directory: str) -> bool:
    parent = os.path.dirname(directory)
    return os.path.exists(os.path.join(directory, ".git")) or (
        parent != directory and is_in_a_repository(parent)
    )


def lock_dependencies() -> None:
    if os.path.exists("uv.lock") or not is_installed("uv"):
        return
    print("Locking the dependencies ...", flush=True)
    if succeeds("uv", "lock", "--quiet", "--no-python-downloads", seconds=LOCK_SECONDS):
        return
    if succeeds("uv", "python", "find", "--quiet", "--no-python-downloads", seconds=10):
        print("Locking failed. Run `uv sync` to lock them, or to see the error.")
    else:
        print(f"No Python {PYTHON} or later: `uv sync` downloads one and locks the dependencies.")


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
            env={name: os.environ[name] for name in os.environ if not name.startswith(ELSEWHERE)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def print_next_steps() -> None:
    path = "external" if UPSTREAMS.strip() else "readyz"
    first = "" if is_installed("uv") else "  pip install uv  # or see https://docs.astral.sh/uv\n"
    print(
        f"""
{SLUG} is ready. Start it:

{first}  cd {DESTINATION}
  uv sync
  uv run {SLUG}

Then call it from another terminal:

  curl http://127.0.0.1:8000/{path}

See README.md for the rest.
""".rstrip()
    )


try:
    main()
    print(end="", flush=True)
except (OSError, KeyboardInterrupt):  # the reader of stdout has ended, as in `| head`, or Ctrl+C
    os._exit(0)
