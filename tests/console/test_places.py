"""How many of something may be under way at once."""

from uuid import uuid4

import pytest
from coldstream.console.places import Full, Places

ALICE, BOB, CAROL = uuid4(), uuid4(), uuid4()


def test_one_member_takes_no_more_than_theirs_and_all_no_more_than_there_are() -> None:
    places = Places(of_member_max=2, in_all_max=3)
    with places.one_for(ALICE), places.one_for(ALICE):
        with pytest.raises(Full) as full, places.one_for(ALICE):
            pass
        assert (full.value.mine, full.value.most) == (True, 2)
        with places.one_for(BOB):
            with pytest.raises(Full) as full, places.one_for(CAROL):
                pass
            assert (full.value.mine, full.value.most) == (False, 3)
        with places.one_for(CAROL):
            pass


def test_a_place_is_given_back_however_its_block_ends() -> None:
    places = Places(of_member_max=1, in_all_max=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.one_for(ALICE):
            raise ZeroDivisionError
    with places.one_for(BOB):
        pass
