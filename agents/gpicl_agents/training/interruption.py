"""`interruptible`: Ctrl-C lets a training run finish its step and save."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within, the first SIGINT sets the event, and the second interrupts as usual."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
