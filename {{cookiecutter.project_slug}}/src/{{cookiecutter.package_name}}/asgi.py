"""The application as an object, for ``fastapi dev`` and tools that cannot call ``create_app``."""

from .app import create_app

app = create_app()
