"""Refuse bad answers once more, wherever cookiecutter was not the one that asked for them."""

import sys

COMPLAINT = "{{ cookiecutter | complaint | escaped }}"

if COMPLAINT:
    sys.exit(COMPLAINT)
