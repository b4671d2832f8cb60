"""What a file is that is no table of text, by its first bytes."""

from pathlib import Path

from soundjudge.errors import SoundjudgeError

UNPACK, EXPORT = "unpack it", "export its sheet as CSV in UTF-8"
UTF_8 = "save the file as UTF-8"
KINDS = (
    (b"PK\x03\x04", "a zip archive or a workbook", f"{UNPACK}, or {EXPORT}"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel", EXPORT),
    (b"\x1f\x8b", "compressed by gzip", UNPACK),
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"ARROW1", "an Arrow file", "write it as Parquet"),
    (b"\xff\xfe\0\0", "UTF-32", UTF_8),
    (b"\0\0\xfe\xff", "UTF-32", UTF_8),
    (b"\xff\xfe", "UTF-16", UTF_8),
    (b"\xfe\xff", "UTF-16", UTF_8),
)
FIRST = 512  # bytes that are looked at


def check_text(path: Path) -> None:
    """`check_start` of a file, which must be readable."""
    try:
        with path.open("rb") as file:
            start = file.read(FIRST)
    except OSError as error:
        raise SoundjudgeError(f"{path} cannot be read: {error.strerror}") from error
    check_start(start, path)


def check_start(content: bytes, path: Path) -> None:
    """SoundjudgeError, with a remedy, for first bytes of a file that no table of text has."""
    for start, kind, remedy in KINDS:
        if content.startswith(start):
            raise SoundjudgeError(f"{path} is not UTF-8 but {kind}: {remedy}")
    if content.count(0) > len(content) / 4:  # ASCII in two or four bytes, without their mark
        raise SoundjudgeError(f"{path} is not UTF-8 but seems to be UTF-16: {UTF_8}")
