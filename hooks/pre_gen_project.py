"""Refuse bad answers once more, wherever cookiecutter was not the one that asked for them."""

import json
import sys

# Answers reach this file as JSON without an apostrophe, so none of them ends the literal.
COMPLAINT = json.loads(r'''{{ cookiecutter | complaint | tojson }}''')  # fmt: skip

if COMPLAINT:
    sys.exit(COMPLAINT)
