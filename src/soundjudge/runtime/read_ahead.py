"""Items read by threads ahead of their use, in order."""

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
DECODERS = min(8, os.cpu_count() or 1)  # threads that decode sounds beside scoring


def read_ahead(
    read: Callable[[A], B],
    items: Iterable[A],
    ahead: int,
    *,
    threads: int = 1,
    remember: int = 0,
    initializer: Callable[[], object] | None = None,
) -> Generator[Future[B], None, None]:
    """A future of `read(item)` per item, in order; up to `ahead` items are begun before their turn.

    Of the last `remember` items equal ones are read once. `initializer` is called in each thread
    before it reads. Close the iterator to end the threads.
    """
    pending: deque[Future[B]] = deque()
    recent: OrderedDict[Any, Future[B]] = OrderedDict()
    with ThreadPoolExecutor(threads, "read_ahead", initializer=initializer) as pool:
        try:
            for item in items:
                future = (recent.pop(item, None) if remember else None) or pool.submit(read, item)
                if remember:
                    recent[item] = future
                    if len(recent) > remember:
                        recent.popitem(last=False)
                pending.append(future)
                if len(pending) > ahead:
                    yield pending.popleft()
            while pending:
                yield pending.popleft()
        except BaseException:  # closed before its end: what is not begun is not needed
            pool.shutdown(cancel_futures=True)
            raise
