"""Reject invalid answers once more, for programs that do not ask through cookiecutter."""

import sys

ERROR_MESSAGE = "{{ cookiecutter | error_message | escape_python }}"

if ERROR_MESSAGE:
    sys.exit(ERROR_MESSAGE)
