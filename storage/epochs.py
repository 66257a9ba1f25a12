"""Which leader epoch began at which offset: Kafka's `leader-epoch-checkpoint`.

Always true: epochs and their start offsets both rise; an epoch has an entry only if something was appended in it. The
file is durable before the recovery point passes the start of an epoch; what lies above is found again in the
batches' own headers.
"""

from itertools import pairwise

from .checkpoints import decode_entries, encode_entries

EPOCHS_FILE = "leader-epoch-checkpoint"
Epochs = tuple[tuple[int, int], ...]  # (epoch, start offset)


def encode_epochs(epochs: Epochs) -> bytes:
    return encode_entries(epochs)


def decode_epochs(raw: bytes) -> Epochs | None:
    """The history, or None for a damaged file."""
    entries = decode_entries(raw, fields=2)
    if entries is None:
        return None
    try:
        epochs = tuple((int(epoch), int(start)) for epoch, start in entries)
    except ValueError:
        return None
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(epochs))
    return epochs if rising and all(epoch >= 0 and start >= 0 for epoch, start in epochs) else None


def with_epoch(epochs: Epochs, epoch: int, start_offset: int) -> Epochs:
    """The history once a batch of this epoch was appended at this offset. An epoch seen before changes nothing."""
    if epochs and epochs[-1][0] >= epoch:
        return epochs
    kept = epochs
    while kept and kept[-1][1] >= start_offset:
        kept = kept[:-1]  # an epoch that turned out to hold nothing
    return (*kept, (epoch, start_offset))


def truncated_to(epochs: Epochs, end: int) -> Epochs:
    """The history of a log that ends here: epochs that began at the end or above hold nothing any more."""
    return tuple(entry for entry in epochs if entry[1] < end)
