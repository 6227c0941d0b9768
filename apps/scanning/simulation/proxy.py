"""A proxy in this process that hands every request on, and lets a share of the replies never arrive. Standard library only."""

import asyncio
import socket
import struct
import threading
from random import Random
from typing import Self
from urllib.parse import urlsplit

# Closing with this option set resets the connection, as a cable that is pulled does, instead of ending it.
RESET = struct.pack("ii", 1, 0)
PATIENCE = 60.0  # seconds for one reply


class CuttingProxy:
    """Between handhelds and the site: `with CuttingProxy(site, cut=0.3, seed=1) as proxy` gives `proxy.site` to talk to.

    A cut request has reached the site, which has done what it does; its reply is thrown away and the connection reset.
    """

    def __init__(self, target: str, *, cut: float, seed: int) -> None:
        self._target, self._cut = urlsplit(target), cut
        self._chance = Random(seed)  # noqa: S311  (a dice, no secret)
        self.passed = self.cut = self.broken = 0
        self.site = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=128), self._loop).result()
        self.site = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._read(reader)
            reply = await asyncio.wait_for(self._forward(request), PATIENCE)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            reply = b""
        if not reply:
            self.broken += 1
            self._reset(writer)
        elif self._chance.random() < self._cut:
            self.cut += 1
            self._reset(writer)
        else:
            self.passed += 1
            writer.write(reply)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """One request, whole, with the site's own name in its Host."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith((b"host:", b"connection:"))]
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        lines += [b"Host: " + self._target.netloc.encode(), b"Connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n" + await reader.readexactly(length)

    async def _forward(self, request: bytes) -> bytes:
        """The site's reply, whole; nothing where the site broke off."""
        is_tls = self._target.scheme == "https"
        port = self._target.port or (443 if is_tls else 80)
        reader, writer = await asyncio.open_connection(self._target.hostname, port, ssl=is_tls or None)
        try:
            writer.write(request)
            return await reader.read(-1)
        finally:
            writer.close()

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
