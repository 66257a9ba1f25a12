"""Who may ask which operation: the API's table times everybody, held against the table of rights."""

from pathlib import Path

import pytest
from coldstream.console.app import OPERATIONS
from coldstream.console.operations import Operation
from coldstream.tests.console.browsing import fingerprint, in_seeded_world
from coldstream.tests.console.seeded import ABSENT, ROLES, Seeded
from coldstream.tests.console.test_page_rights import OUTSIDERS, may
from coldstream.tests.console.world import World

EVERYBODY = ("root", *ROLES, "local", *OUTSIDERS)


async def asked(world: World, seeded: Seeded, who: str, operation: Operation, **others: str) -> tuple[int, str]:
    path = seeded.path(operation.path, **others).removeprefix("/api/v1")
    answer = await world.send(operation.method, path, token=seeded.people[who].token)
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "*")


@pytest.mark.parametrize("who", EVERYBODY)
def test_what_one_may_not_do_is_not_there_and_not_done(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before, wrong = await fingerprint(world.database), []
        for operation in OPERATIONS:
            allowed = may(who, operation.needs, operation.path)
            if operation.needs is None or (allowed and operation.method != "GET"):
                continue  # the handler shows each what is theirs; or it would be done
            status, _ = await asked(world, seeded, who, operation)
            if (status != 404) != allowed:
                wrong.append(f"{operation.name}: {status}")
        assert wrong == []
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("who", OUTSIDERS)
def test_what_is_of_others_answers_as_what_is_not_there(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong = []
        for operation in OPERATIONS:
            if "{" in operation.path:
                real = await asked(world, seeded, who, operation)
                absent = await asked(world, seeded, who, operation, **ABSENT)
                if real[0] < 400 or real != absent:
                    wrong.append(f"{operation.name}: {real} and {absent}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)
