"""`interruptible`: Ctrl-C or SIGTERM lets a training run finish its step and save."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = "interrupted"  # why a run stopped


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within, the first SIGINT or SIGTERM sets the event, and the second acts as usual.

    If the event is set at the end, a KeyboardInterrupt stops whatever the training was a part of. Only the main thread
    takes signals; a process that `multiprocessing` started leaves them to the one that started it.
    """
    event = threading.Event()
    is_own = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    before = {number: signal.getsignal(number) for number in SIGNALS} if is_own else {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: Any) -> None:
        restore()
        event.set()

    for number in before:
        signal.signal(number, note)
    try:
        yield event
    finally:
        restore()
    if event.is_set():
        raise KeyboardInterrupt
