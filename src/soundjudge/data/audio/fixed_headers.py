"""NIST, AVR, WVE and VOC files, whose headers state a length that libsndfile does not check."""

import re
import struct

from soundjudge.data.audio.streams import FileBytes, Stream

NIST = re.compile(rb"\s(sample_count|channel_count|sample_n_bytes) -i (\d+)")


def streams(data: FileBytes) -> list[Stream]:
    """The one stream of such a file, with how much of it is there; none if it is no such file."""
    stated, start = _stated(data[:4096])
    if stated < 0:
        return []
    return [Stream(share_there=min(1.0, max(0, len(data) - start) / stated) if stated else 1.0)]


def _stated(head: bytes) -> tuple[int, int]:
    """Bytes of samples that a header states (-1: it is none of these) and where they begin."""
    if head.startswith(b"NIST_1A") and len(head) >= 16:
        fields = {name: int(value) for name, value in NIST.findall(head[:1024])}
        size = fields.get(b"channel_count", 1) * fields.get(b"sample_n_bytes", 0)
        start = head[8:16].strip()
        return fields.get(b"sample_count", 0) * size, int(start) if start.isdigit() else 1024
    if head.startswith(b"2BIT") and len(head) >= 128:
        stereo, bits = struct.unpack_from(">hH", head, 12)
        return struct.unpack_from(">I", head, 26)[0] * (bits // 8) * (2 if stereo else 1), 128
    if head.startswith(b"ALawSoundFile**") and len(head) >= 32:
        return struct.unpack_from(">I", head, 18)[0], 32
    if head.startswith(b"Creative Voice File\x1a") and len(head) >= 32:
        first = struct.unpack_from("<H", head, 20)[0]
        block, size = head[first], int.from_bytes(head[first + 1 : first + 4], "little")
        return (size, first + 4) if block in (1, 9) else (-1, 0)
    return -1, 0
