"""Program: a server made with PyPI's `websockets`; runs in that package's own environment.

A client at /sub is a member; what one says at /pub is broadcast to all of them; what one says at
/in is only counted, and whoever comes to /count is told how many that were.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve


class Server:
    """Members, and the count."""

    def __init__(self) -> None:
        self.members: set[ServerConnection] = set()
        self.heard = 0

    async def meet(self, client: ServerConnection) -> None:
        """One client, from its handshake to its end."""
        match client.request and client.request.path:
            case "/sub":
                self.members.add(client)
                await client.wait_closed()
                self.members.discard(client)
            case "/pub":
                async for message in client:
                    broadcast(self.members, message)
            case "/in":
                async for _ in client:
                    self.heard += 1
            case _:
                await client.send(str(self.heard))


async def _main() -> None:
    server = Server()
    async with serve(
        server.meet,
        "127.0.0.1",
        0,
        compression=None,
        ping_interval=None,
        backlog=4096,
    ) as listener:
        sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_main())
