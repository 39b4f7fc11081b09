"""The generated service, plus the handlers with the client of its upstream `a`."""

import uvicorn
from handlers import handlers
from my_service.app import create_app
from my_service.http_client import upstream
from my_service.settings import Settings

if __name__ == "__main__":
    app = create_app()
    app.include_router(handlers(upstream("a")))
    uvicorn.run(app, port=Settings().port, log_config=None, access_log=False, server_header=False)
