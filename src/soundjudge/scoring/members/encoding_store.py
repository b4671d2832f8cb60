"""Encodings that were used last, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

# Per store: 4,000 features of 100 tokens in the width of BEATs are 1.2 GB, embeddings are small.
DEFAULT_BYTES = 1 << 28


class EncodingStore:
    """Keys to encodings; those not used for longest give way."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:  # noqa: ANN401
        """The encoding of `key`, if it is there."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key][0]

    def put(self, key: Hashable, encoding: object) -> None:
        """Keeps an encoding, unless it is larger than the store."""
        size = num_bytes(encoding)
        if size > self.max_bytes or key in self._items:
            return
        self._items[key] = encoding, size
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (_, freed) = self._items.popitem(last=False)
            self.bytes -= freed


def num_bytes(encoding: Any) -> int:  # noqa: ANN401
    """About what an encoding takes: arrays and tensors as they are, texts by their characters."""
    if isinstance(encoding, tuple | list):
        return sum(num_bytes(part) for part in encoding)
    if isinstance(encoding, str):
        return len(encoding)
    return int(encoding.nbytes)
