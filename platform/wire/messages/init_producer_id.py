"""InitProducerId (key 22), versions 0-6.

v2 flexible   v3 producer id and epoch to go on with (KIP-360)   v4 PRODUCER_FENCED   v5 TRANSACTION_ABORTABLE
v6 two-phase commit (KIP-939), described but not offered
"""

from ..schema import Struct, boolean, int16, int32, int64, string


class InitProducerIdRequest(Struct):
    transactional_id: str | None = string(nullable="0+")
    transaction_timeout_ms: int = int32()
    producer_id: int = int64("3+", default=-1)
    producer_epoch: int = int16("3+", default=-1)
    enable_two_phase_commit: bool = boolean("6+", default=False)
    keep_prepared_transaction: bool = boolean("6+", default=False)


class InitProducerIdResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    producer_id: int = int64(default=-1)
    producer_epoch: int = int16(default=-1)
    ongoing_transaction_producer_id: int = int64("6+", default=-1)
    ongoing_transaction_producer_epoch: int = int16("6+", default=-1)


REQUEST = InitProducerIdRequest
RESPONSE = InitProducerIdResponse
