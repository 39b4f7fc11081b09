"""An upstream that serves a given number of concurrent requests; others queue.

`/` takes 100 ms, and `/5` takes 5 seconds.
"""

import asyncio
import os
import sys

import uvloop

SLOTS = int(sys.argv[1])
WORK_S = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ndone"


async def main() -> None:
    slots = asyncio.Semaphore(SLOTS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                if b" /livez " not in request:
                    seconds = request.split()[1].removeprefix(b"/")
                    async with slots:
                        await asyncio.sleep(float(seconds or WORK_S))
                writer.write(ANSWER)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    port = int(os.environ["APP_PORT"])
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
