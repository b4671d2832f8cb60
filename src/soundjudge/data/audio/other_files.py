"""What a file is that is no sound, by its first bytes, and what to do about it."""

import re

from soundjudge.data.audio.streams import FileBytes

UNKNOWN = "it is no WAV, AIFF, FLAC, Ogg or MP3 file, convert it (ffmpeg -i {} a.wav)"
FIRST = 512  # bytes that are looked at
AGAIN = "download the sound again"
KINDS = (
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS, run git lfs pull"),
    (re.compile(rb"(\.\./)*\.git/annex/|/annex/"), "a pointer of git-annex, run git annex get"),
    (re.compile(rb"outs:\s"), "a pointer of DVC, run dvc pull"),
    (
        re.compile(rb"\x00\x05\x16[\x00\x07]"),
        "a resource fork of macOS, its sound is in the file without ._",
    ),
    (re.compile(rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ\0|7z\xbc\xaf|Rar!"), "an archive, unpack it"),
    (
        re.compile(rb"\s*<(!DOCTYPE|html|\?xml|head|body|Error)", re.I),
        f"a page of the web, {AGAIN}",
    ),
    (re.compile(rb"\s*\{\s*\""), f"JSON such as a server's error, {AGAIN}"),
    (re.compile(rb"\x93NUMPY"), "an array of numpy, load it and give (samples, sample rate)"),
    (re.compile(rb"\xd0\xcf\x11\xe0|\x00\x00\x00\x01Bud1"), "a file of a file browser, remove it"),
    (re.compile(rb"%PDF|\x89PNG|\xff\xd8\xff"), "a document or a picture, name the sound"),
)
PLAIN = re.compile(rb"[\t\n\r\x20-\x7e]+")


def refusal(data: FileBytes, name: str) -> str:
    """Why a file called `name`, which no reader knows, is refused; begins as `Stream.refusal`."""
    start = data[:FIRST].removeprefix(b"\xef\xbb\xbf")
    for pattern, kind in KINDS:
        if pattern.match(start):
            return f"undecodable: it is no sound but {kind}"
    if not any(start) and not any(data[:: max(1, len(data) // 65_536)]):
        return f"undecodable: it holds nothing but zeros, {AGAIN}"
    if PLAIN.fullmatch(start):
        return f"undecodable: it is no sound but text, {AGAIN}"
    return f"undecodable: {UNKNOWN.format(name)}"
