import random
from pathlib import Path

import pytest
from coldstream.platform.broker.intake import FrameIntake, FrameRefused, ReceiveBuffer


def feed(intake: FrameIntake, data: bytes, *, take: int = 10**9) -> list[bytes]:
    """Give `data` as the transport would, in as many reads as the buffers ask for; `take` frames a read at most."""
    frames = []
    while data:
        room = intake.buffer()
        part, data = data[: len(room)], data[len(room) :]
        room[: len(part)] = part
        intake.received(len(part))
        taken = 0
        while taken < take and intake.next_frame():
            frames.append(bytes(intake.view[intake.start : intake.end]))
            taken += 1
        intake.settle()
    return frames


def drain(intake: FrameIntake) -> list[bytes]:
    frames = []
    intake.received(0)
    while intake.next_frame():
        frames.append(bytes(intake.view[intake.start : intake.end]))
    intake.settle()
    return frames


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(len(p).to_bytes(4, "big") + p for p in payloads)


@pytest.mark.parametrize("seed", range(30))
def test_frames_are_the_same_wherever_the_input_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    payloads = [rng.randbytes(rng.choice([1, 3, 20, 100, 700, 5000])) for _ in range(40)]
    wire = framed(payloads)
    intake = FrameIntake(ReceiveBuffer(512), 10_000)
    got = []
    while wire:
        n = rng.choice([1, 2, 3, 4, 5, 50, 600, 3000])
        got += feed(intake, wire[:n], take=rng.choice([0, 1, 2, 100]))
        wire = wire[n:]
        if rng.random() < 0.3:
            got += drain(intake)
    got += drain(intake)
    assert got == payloads
    assert intake.held_bytes == 0


def test_a_frame_that_has_to_wait_is_held_and_later_frames_stay_behind_it() -> None:
    intake = FrameIntake(ReceiveBuffer(64), 10_000)
    assert feed(intake, framed([b"a" * 100]), take=0) == []
    assert feed(intake, framed([b"b"]), take=0) == []
    assert drain(intake) == [b"a" * 100, b"b"]


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        (b"\x7f\xff\xff\xff", "2147483647 bytes"),
        (b"\x80\x00\x00\x00", "-2147483648 bytes"),
        (b"\x00\x00\x00\x00", "a frame of 0 bytes"),
        (b"\x16\x03\x01\x02", "TLS handshake"),
        (b"GET ", "HTTP request"),
    ],
)
def test_a_length_that_no_client_sends_is_refused_before_anything_is_allocated(prefix: bytes, says: str) -> None:
    intake = FrameIntake(ReceiveBuffer(64), 1000)
    with pytest.raises(FrameRefused, match=says):
        feed(intake, prefix + b"rest")


def test_buffers_of_finished_frames_are_used_again() -> None:
    receive = ReceiveBuffer(64)
    intake = FrameIntake(receive, 10_000)
    feed(intake, framed([b"x" * 5000]))
    first = receive.spills.take(5000)
    receive.spills.give_back(first)
    feed(intake, framed([b"y" * 4000]))
    assert receive.spills.take(4000) is first


def test_a_large_frame_that_is_only_announced_takes_no_memory() -> None:
    receive = ReceiveBuffer(64)
    intakes = [FrameIntake(receive, 100 * 2**20) for _ in range(20)]
    before_kib = resident_kib()
    for intake in intakes:
        feed(intake, (99 * 2**20).to_bytes(4, "big") + b"hello")
    assert resident_kib() - before_kib < 10 * 1024


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
