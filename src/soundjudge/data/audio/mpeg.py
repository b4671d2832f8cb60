"""MPEG audio (ISO/IEC 11172-3 and 13818-3, and MPEG 2.5): a walk over the frames of a file.

libsndfile believes a Xing frame, or guesses a length from the first frames' bit rate, and stops
there or where something stands between two frames. It is given whole frames alone and their number.
"""

from dataclasses import dataclass, field

from soundjudge.data.audio import mpeg_frames
from soundjudge.data.audio.mpeg_frames import Frame
from soundjudge.data.audio.streams import SHARE_THERE, FileBytes, Piece, Stream, slices

LOST = (0, 0)  # the span of a frame that is lost
UNTOLD = "undecodable: MPEG layers 1 and 2 do not say how long they are, convert it to wav or flac"
NO_FRAMES_BEHIND = "damaged: it does not end with frames"
CUT = "truncated: it ends within a frame and does not say how long it was"


@dataclass(kw_only=True)
class Run:
    """Frames of one kind, from where a decoder starts anew."""

    frame: Frame
    spans: list[tuple[int, int]] = field(default_factory=list)
    "where frames begin and end in the file"
    gaps: list[int] = field(default_factory=list)
    "bytes where frames were lost"

    def mean_size(self) -> float:
        """Bytes of a frame."""
        sizes = [end - start for start, end in self.spans if end]
        return sum(sizes) / len(sizes) if sizes else self.frame.size

    def gaps_are_whole_frames(self) -> bool:
        """Whether damaged frames are still there, so that their number is known."""
        sizes = {end - start for start, end in self.spans if end}
        low, high = min(sizes), max(sizes)
        counts = [round(gap / self.mean_size()) for gap in self.gaps]
        return high - low <= 1 and all(
            count * low <= gap <= count * high for gap, count in zip(self.gaps, counts, strict=True)
        )


def streams(data: FileBytes, seconds: float) -> list[Stream]:
    """The streams of a file of MPEG frames, as far as its first `seconds` need them.

    No stream where it is no such file. Damaged frames become silent ones, so that time is kept.
    """
    start, unknown = mpeg_frames.first_frame(data)
    if start < 0:
        alone = mpeg_frames.header(data, mpeg_frames.after_tags(data))
        return [Stream(damage=CUT)] if alone else []
    runs, position, stopped = _walk(data, start, seconds)
    damage = "" if stopped else _damage_at_end(data, position, runs[-1])
    stated = mpeg_frames.read(data, start, runs[0].frame)
    whole = len(runs) == 1 and LOST not in runs[0].spans
    if stated and whole and stated.count == len(runs[0].spans) - 1 and not any(data[position:]):
        damage = ""  # all that it states is there, and zeros to fill a block
    if unknown > (1.0 - SHARE_THERE) * len(runs[0].spans) * runs[0].mean_size() * bool(stated):
        damage = "damaged: it does not begin with a frame"
    result = [_stream(data, run, damage if run is runs[-1] else "", stopped) for run in runs]
    pieces = result[0].pieces
    if len(runs) == 1 and pieces and len(pieces) == 1 and start == 0:
        return [Stream(share_there=result[0].share_there, damage=result[0].damage)]
    return result


def _walk(data: FileBytes, start: int, seconds: float) -> tuple[list[Run], int, bool]:
    """Runs of frames, where the walk ended, and whether it was stopped for `seconds`."""
    runs = [Run(frame=mpeg_frames.header_at(data, start))]
    position, elapsed = start, 0.0
    while position < len(data):
        if elapsed > seconds + 0.5:
            return runs, position, True
        run, frame = runs[-1], mpeg_frames.header(data, position)
        if frame and position + frame.size <= len(data):
            same = frame.kind == run.frame.kind
            if same:  # a file that was joined to the last has its own first frame
                new = bool(run.spans) and mpeg_frames.read(data, position, frame) is not None
            else:
                new = mpeg_frames.is_run(data, position)
            if (same or new) and mpeg_frames.follows(data, position + frame.size, frame):
                if new:
                    runs.append(Run(frame=frame))
                runs[-1].spans.append((position, position + frame.size))
                elapsed += frame.samples / frame.rate
                position += frame.size
                continue
        if size := mpeg_frames.tag_size(data, position):
            position += size
            continue
        following = mpeg_frames.next_run(data, position + 1, len(data))
        if following < 0:  # no more frames; the last one may be whole
            if frame and frame.kind == run.frame.kind and position + frame.size <= len(data):
                run.spans.append((position, position + frame.size))
                position += frame.size
            break
        lost = max(1, round((following - position) / run.mean_size()))
        run.spans += [LOST] * lost
        run.gaps.append(following - position)
        elapsed += lost * run.frame.samples / run.frame.rate
        position = following
    return runs, position, False


def _damage_at_end(data: FileBytes, position: int, run: Run) -> str:
    """Why what stands after the last whole frame is no end of a file; empty if it is one."""
    size = len(data) - position
    frame = mpeg_frames.header(data, position)
    if frame and frame.kind == run.frame.kind and size < frame.size:
        return CUT
    if 0 < size < 4 and data[position] == 0xFF:  # not even a whole header
        return CUT
    unknown = size > (1.0 - SHARE_THERE) * len(run.spans) * run.mean_size()
    return NO_FRAMES_BEHIND if unknown else ""


def _stream(data: FileBytes, run: Run, damage: str, stopped: bool) -> Stream:
    if run.frame.kind[1] != 3:
        return Stream(refusal=UNTOLD)
    start, end = run.spans[0]
    first = mpeg_frames.read(data, start, run.frame)
    stated = first.count if first and not stopped else 0
    spans = run.spans[1:] if first else run.spans
    while stated and len(spans) > stated and LOST in spans:  # something stood between frames
        spans = [*spans]
        spans.remove(LOST)
    lost = spans.count(LOST)
    share = (len(spans) - lost) / max(stated, len(spans))
    if stated and damage == CUT:
        damage = ""  # the share says by how much
    elif run.gaps and not stated and not run.gaps_are_whole_frames():
        damage = damage or "damaged: nobody knows how much is missing between its frames"
    right = first and first.clean and (stated == len(spans) or (stopped and first.count))
    if right and not run.gaps:
        return Stream(pieces=tuple(slices(data, run.spans)), share_there=share, damage=damage)
    head = data[start : start + 4]
    if first and first.count:
        size = sum(end - start for start, end in run.spans)
        lead = mpeg_frames.with_count(data[start:end], run.frame, len(spans), size)
    else:
        lead = mpeg_frames.new(head, run.frame, len(spans))
    silent = mpeg_frames.silent_frame(head, run.frame)
    pieces: list[Piece] = [lead]
    since = 0
    for index in [index for index, span in enumerate(spans) if span == LOST]:
        pieces += [*slices(data, spans[since:index]), silent]
        since = index + 1
    return Stream(pieces=(*pieces, *slices(data, spans[since:])), share_there=share, damage=damage)
