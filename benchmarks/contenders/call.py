"""The generated service, plus the handler of usual.py, which calls the upstream `nginx`."""

import uvicorn
from my_service.app import create_app
from my_service.http_client import Nginx
from my_service.settings import Settings

app = create_app()


@app.get("/call")
async def call(url: str, nginx: Nginx) -> dict[str, str | int]:
    response = await nginx.get(url)
    return {"result": response.text, "status": response.status_code}


if __name__ == "__main__":
    uvicorn.run(app, port=Settings().port, log_config=None, access_log=False, server_header=False)
