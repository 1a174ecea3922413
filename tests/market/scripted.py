"""A real HTTP server that answers as told: what a test needs to see the client through the wire."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer. `hangs`: it never comes. `drops`: the connection ends first. `drips`: byte by byte."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    drops: bool = False
    drips: bool = False


@dataclass(frozen=True)
class Call:
    query: dict[str, str]
    headers: dict[str, str]


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class ScriptedUpstream:
    """Answers each path with its replies in turn, the last one for ever; counts what was asked."""

    def __init__(self) -> None:
        self._replies: dict[str, list[Reply]] = {}
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self.port: int = starting.result(timeout=5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, path: str, replies: Sequence[Reply]) -> None:
        self._replies[path] = list(replies)

    def attempts(self, path: str) -> int:
        return len(self.calls[path])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        serving = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        url = urlsplit(lines[0].split(" ")[1])
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.calls[url.path].append(Call(query, {k.lower(): v for k, v in headers.items()}))
        replies = self._replies.get(url.path, [Reply(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.hangs:
            await asyncio.Event().wait()
        if reply.drops:
            return False
        await _send(reply, writer)
        return True


async def _send(reply: Reply, writer: asyncio.StreamWriter) -> None:
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    head = [f"HTTP/1.1 {reply.status} Scripted", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    writer.write("\r\n".join(head).encode())
    if not reply.drips:
        writer.write(reply.body)
    await writer.drain()
    for place in range(len(reply.body) if reply.drips else 0):
        writer.write(reply.body[place : place + 1])
        await writer.drain()
        await asyncio.sleep(0.005)
