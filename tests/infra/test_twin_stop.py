from __future__ import annotations

import asyncio
import signal
import threading

from infra.local.twin import to_the_end


def test_parts_are_stopped_whole_though_the_signal_comes_once_more() -> None:
    """As the server raises it, when it has ended by it."""
    ended: list[str] = []
    is_told = threading.Event()

    def stop() -> None:
        assert is_told.wait(10)
        ended.append("stopped")

    async def serve() -> str:
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(is_told.set))
        signal.raise_signal(signal.SIGINT)
        await to_the_end(asyncio.to_thread(stop))
        return "ended"

    with asyncio.Runner() as runner:
        assert runner.run(serve()) == "ended"
    assert ended == ["stopped"]
