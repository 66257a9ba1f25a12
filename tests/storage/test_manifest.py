"""The lifecycle table, and the in-memory manifest at the exam that the SQL one sits too."""

import uuid
from contextlib import AbstractAsyncContextManager

import pytest
from coldstream.storage.manifest import FORGETTABLE, NEXT, SegmentState, may_become, segment_key

from .manifest_contract import ManifestContract, ManifestHarness
from .memory_manifest import memory_harness

PREPARED, COMMITTED, MARKED = SegmentState


@pytest.mark.parametrize(
    ("now", "to", "allowed"),
    [
        (PREPARED, COMMITTED, True),
        (PREPARED, MARKED, True),
        (COMMITTED, MARKED, True),
        (COMMITTED, PREPARED, False),
        (MARKED, PREPARED, False),
        (MARKED, COMMITTED, False),
        (PREPARED, PREPARED, False),
    ],
)
def test_a_row_moves_only_forward(now: SegmentState, to: SegmentState, allowed: bool) -> None:
    assert may_become(now, to) is allowed


def test_every_state_leads_to_marked_and_only_marked_rows_are_forgotten() -> None:
    assert set(NEXT) == set(SegmentState)
    assert {MARKED} == FORGETTABLE
    assert all(MARKED in NEXT[state] for state in SegmentState if state is not MARKED)


def test_a_key_names_ids_and_the_range_zero_padded() -> None:
    topic, attempt = uuid.UUID(int=1), uuid.UUID(int=2)
    assert segment_key("abc", topic, 7, 5, 99, 3, attempt) == (
        "v1/abc/00000000-0000-0000-0000-000000000001/7/00000000000000000005-00000000000000000099-3-"
        "00000000000000000000000000000002.seg"
    )


class TestMemoryManifest(ManifestContract):
    def harness(self) -> AbstractAsyncContextManager[ManifestHarness]:
        return memory_harness()
