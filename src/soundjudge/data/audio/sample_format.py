"""What a header says of its samples, and whether it contradicts itself."""

import struct

from soundjudge.data.audio.flags import USUAL_RATES

LINEAR_AIFC = (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32")


def frame_bytes(chunk: bytes, text: bytes) -> int:
    """Bytes of a sample of all channels by what the chunk `fmt ` or `COMM` says; or 0.

    0 where samples are not linear, or the chunk is another.
    """
    channels: int
    if chunk == b"fmt " and len(text) >= 16:
        tag, channels = struct.unpack_from("<HH", text)
        bits: int = struct.unpack_from("<H", text, 14)[0]
        if tag == 0xFFFE and len(text) >= 26:
            tag = struct.unpack_from("<H", text, 24)[0]
        return channels * -(-bits // 8) if tag in (1, 3) else 0
    if chunk == b"COMM" and len(text) >= 18:
        channels, _, bits = struct.unpack_from(">HIH", text)
        linear = len(text) < 22 or text[18:22] in LINEAR_AIFC
        return channels * -(-bits // 8) if linear else 0
    return 0


def contradiction(chunk: bytes, text: bytes, stated: int, there: int) -> str:
    """Why the description can't be believed, of samples of `stated` bytes; empty if it can be."""
    size = frame_bytes(chunk, text)
    if not size:
        return ""
    if chunk == b"fmt ":
        rate, byte_rate, align = struct.unpack_from("<IIH", text, 4)
        if byte_rate == rate * size or not (byte_rate and align):
            return ""
        # Writers are sloppy with these two; only where they agree on something else they are right.
        if byte_rate == rate * align:
            return f"damaged: {size} and {align} bytes a sample are stated"
        other = byte_rate // align
        if byte_rate % align == 0 and other in USUAL_RATES and rate not in USUAL_RATES:
            return f"damaged: rates of {rate} and {other} Hz are stated"
    if chunk == b"COMM":
        frames = struct.unpack_from(">I", text, 2)[0]
        agrees = any(0.9 <= frames * size / max(1, length) <= 1.1 for length in (stated, there))
        if frames and not agrees:
            return f"damaged: {frames} samples of {size} bytes and {stated} bytes are stated"
    return ""
