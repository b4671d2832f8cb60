"""Formats by their first bytes: which one begins at a place of a file, if any does."""

from soundjudge.data.audio import mpeg_frames
from soundjudge.data.audio.streams import FileBytes

SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".rf64",
    ".m4a", ".mp4", ".aac", ".webm", ".wma",
)  # fmt: skip
"""Of sound files; a file is read by its content, whatever its suffix."""
FORM = 12  # bytes that tell a file of chunks
CHUNKED = (
    (b"RIFF", b"WAVE"), (b"RF64", b"WAVE"), (b"BW64", b"WAVE"), (b"FORM", b"AIFF"),
    (b"FORM", b"AIFC"),
)  # fmt: skip
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # first ones of mp4 and QuickTime
MAGICS = {
    b"\x1aE\xdf\xa3": "matroska", b"0&\xb2u": "asf", b"MAC ": "ape", b"wvpk": "wv",
    b"TTA1": "tta",
}  # fmt: skip
# Nothing in these says how long they are, and FFmpeg does not say where one is damaged.
UNCHECKED = {b"#!AMR": "amr", b"\x0bw": "ac3"}
ADTS_RUN = 4  # frames in a row that are no accident


def foreign_name(data: FileBytes, start: int) -> str:
    """FFmpeg's name of the format that begins here and libsndfile does not know; or ""."""
    if data[start + 4 : start + 8] in BOXES:
        return "mov"
    head = data[start : start + 8]
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    magics = {**MAGICS, **UNCHECKED}
    return next((name for magic, name in magics.items() if head.startswith(magic)), "")


def is_file(data: FileBytes, start: int) -> bool:
    """Whether a file of some format begins here, and not samples, chunks or a tag alone."""
    while size := mpeg_frames.tag_size(data, start):
        start += size
    head = data[start : start + FORM]
    if (head[:4], head[8:]) in CHUNKED or head[:4] in (b"fLaC", b"OggS"):
        return True
    return _is_foreign(data, start) or mpeg_frames.is_run(data, start)


def _is_foreign(data: FileBytes, start: int) -> bool:
    """Whether `foreign_name` is right by more than the two bytes or four that chance may write."""
    name = foreign_name(data, start)
    if name == "mov":
        return 8 <= int.from_bytes(data[start : start + 4], "big") <= len(data) - start
    if name == "aac":
        for _ in range(ADTS_RUN):
            size = _adts_size(data, start)
            start += size
            if not size:
                return False
    return name not in ("", "ac3")


def _adts_size(data: FileBytes, start: int) -> int:
    """Bytes of the ADTS frame (ISO/IEC 13818-7) that begins here, 0 if none does."""
    head = int.from_bytes(data[start : start + 7].ljust(7, b"\0"), "big")
    return head >> 13 & 0x1FFF if head >> 44 == 0xFFF and not head >> 41 & 3 else 0
