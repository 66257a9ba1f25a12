import pytest
from coldstream.storage.checkpoints import decode_entries, encode_entries, read_file, replace_file
from coldstream.storage.disk import OsDisk
from coldstream.storage.epochs import decode_epochs, encode_epochs, truncated_to, with_epoch


def test_the_format_is_kafkas() -> None:
    assert encode_entries([("orders", 3, 1234)]) == b"0\n1\norders 3 1234\n"
    assert encode_entries([]) == b"0\n0\n"
    assert decode_entries(b"0\n2\na 0 1\nb 1 2\n", fields=3) == [["a", "0", "1"], ["b", "1", "2"]]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 20,
        b"0\n1\n",
        b"0\n1\na 0 1",
        b"0\n1\na 0\n",
        b"0\n2\na 0 1\n",
        b"1\n1\na 0 1\n",
        b"0\nx\na 0 1\n",
        b"0\n-1\n",
        b"\xff\xfe\n1\n",
    ],
)
def test_a_torn_or_foreign_file_is_no_checkpoint(raw: bytes) -> None:
    assert decode_entries(raw, fields=3) is None


def test_a_file_is_replaced_whole(tmp_path) -> None:
    disk, path = OsDisk(), str(tmp_path / "checkpoint")
    assert read_file(disk, path) is None
    replace_file(disk, path, b"first, and longer")
    replace_file(disk, path, b"second")
    assert read_file(disk, path) == b"second"
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_epochs_rise_and_survive_their_file() -> None:
    history = with_epoch(with_epoch(with_epoch((), 1, 0), 4, 100), 4, 150)
    assert history == ((1, 0), (4, 100))
    assert decode_epochs(encode_epochs(history)) == history
    assert encode_epochs(history) == b"0\n2\n1 0\n4 100\n"


def test_an_epoch_that_turned_out_empty_is_replaced() -> None:
    assert with_epoch(((1, 0), (2, 50)), 3, 50) == ((1, 0), (3, 50))
    assert truncated_to(((1, 0), (2, 50), (3, 80)), 50) == ((1, 0),)
    assert truncated_to(((1, 0), (2, 50)), 51) == ((1, 0), (2, 50))


@pytest.mark.parametrize("raw", [b"0\n2\n1 0\n1 5\n", b"0\n2\n1 5\n2 5\n", b"0\n1\nx 5\n", b"0\n1\n-1 5\n", b"junk"])
def test_a_history_that_does_not_rise_is_damage(raw: bytes) -> None:
    assert decode_epochs(raw) is None
