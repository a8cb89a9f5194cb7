"""
What the provider needs of the process that Pulumi runs it in, and no interface offers.

Pulumi serves a dynamic provider from ``python -m pulumi.dynamic``: four threads, a ``Cancel`` that is dropped, and no
notice when the engine is gone. All reaching into that process is here. Where it does not look as expected (another SDK,
a test), each function does nothing, and the provider works with what there is.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Work", "on_cancel", "say", "watch", "widen"]

CANCEL = "/pulumirpc.ResourceProvider/Cancel"


class Work:
    """Counts the methods under way, so that a process without its engine can finish what it sent before it leaves."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._idle = threading.Condition()
        self._running = 0

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Marks one method as running."""
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def finished(self) -> None:
        """Waits until no method is running."""
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0)


def say(text: str) -> None:
    """Shows *text* to the user as a message of the stack; lost without a word when the engine is gone."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def widen(threads: int) -> None:
    """
    Lets the server run *threads* methods at once instead of four.

    Its pool makes a thread only when none is idle, so a large number costs nothing until it is needed.
    """
    with contextlib.suppress(Exception):
        pool = _server()._state.thread_pool
        with pool._shutdown_lock:
            pool._max_workers = max(pool._max_workers, threads)
            # It makes a thread as work comes in; what came before (a refresh begins so) waits for one as well.
            for _ in range(min(pool._work_queue.qsize(), threads)):
                pool._adjust_thread_count()


def on_cancel(told: Callable[[], None]) -> None:
    """Calls *told* when the engine asks its providers to stop (one ^C); the SDK's own answer stays as it is."""
    with contextlib.suppress(Exception):
        for handlers in _server()._state.generic_handlers:
            table: dict[str, Any] = handlers._method_handlers
            if CANCEL in table:
                answer = table[CANCEL].unary_unary

                def cancel(request: Any, context: Any, answer: Callable[[Any, Any], Any] = answer) -> Any:
                    told()
                    return answer(request, context)

                table[CANCEL] = table[CANCEL]._replace(unary_unary=cancel)


def watch(work: Work) -> None:
    """Ends this process when its engine is gone: nothing more is sent, what was sent is finished, then it leaves."""
    if not _is_provider_process():
        return
    threading.Thread(target=_leave_with_engine, args=(work,), name="engine-watch", daemon=True).start()


def _leave_with_engine(work: Work) -> None:
    parent = os.getppid()
    try:
        # The engine holds the other end of standard output; nothing else tells of its death through a shell.
        piped = stat.S_ISFIFO(os.fstat(1).st_mode) or stat.S_ISSOCK(os.fstat(1).st_mode)
        poll = select.poll()
        poll.register(1, 0)
    except (AttributeError, OSError, ValueError):
        piped = False
    while True:
        if piped:
            gone = any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(1000))
        else:
            gone = False
            time.sleep(1)
        if gone or os.getppid() != parent:
            break
    work.stopping.set()
    work.finished()
    os._exit(0)


def _is_provider_process() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", "") == "pulumi.dynamic.__main__"


def _server() -> Any:
    """The gRPC server: a local of ``main()`` in the main thread of ``pulumi.dynamic``."""
    frame = sys._current_frames()[threading.main_thread().ident or 0] if _is_provider_process() else None
    while frame is not None:
        if frame.f_code.co_name == "main" and "server" in frame.f_locals:
            return frame.f_locals["server"]
        frame = frame.f_back
    raise LookupError("this process is not Pulumi's dynamic provider")
