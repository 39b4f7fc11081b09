"""Reject invalid answers once more, for programs that do not ask through cookiecutter."""

import sys

ERROR_MESSAGE = "{{ cookiecutter | error_message | escaped }}"

if ERROR_MESSAGE:
    sys.exit(ERROR_MESSAGE)
