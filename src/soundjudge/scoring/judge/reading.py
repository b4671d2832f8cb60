"""Items read by threads that run ahead of their use."""

import os
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")
MOST_THREADS = 8


def read_ahead(
    items: Sequence[T], read: Callable[[T], R], ahead: int
) -> Generator[Future[R], None, None]:
    """A future of `read(item)` per item, in order; up to `ahead` items are begun before their turn.

    Equal items among the last and the next `ahead` are read once. Close the iterator to end the
    threads.
    """
    recent: OrderedDict[T, Future[R]] = OrderedDict()
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "soundjudge-read") as pool:

        def begin(position: int) -> Future[R]:
            item = items[position]
            future = recent.pop(item, None) or pool.submit(read, item)
            recent[item] = future
            if len(recent) > 2 * ahead:
                recent.popitem(last=False)
            return future

        try:
            begun = [begin(position) for position in range(min(ahead, len(items)))]
            for position in range(len(items)):
                if position + ahead < len(items):
                    begun.append(begin(position + ahead))
                yield begun.pop(0)
        except BaseException:  # closed before its end: what is not begun is not needed
            pool.shutdown(wait=True, cancel_futures=True)
            raise
