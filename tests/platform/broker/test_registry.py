import pytest
from coldstream.platform.broker import apis  # noqa: F401 - fills the registry
from coldstream.platform.broker.registry import APIS, Api, Right, Scope, enter, handles
from coldstream.platform.wire.api import APIS as OFFERED
from coldstream.platform.wire.api import ApiKey
from coldstream.tenants.permissions import Operation, ResourceType


def test_every_offered_api_has_a_handler_and_nothing_else_has() -> None:
    assert set(APIS) == set(OFFERED)


def test_every_api_says_what_of_a_namespace_it_can_name_and_which_right_it_asks_for() -> None:
    for api in APIS.values():
        assert api.scopes
        assert api.authorises or api.scopes <= {Scope.CONNECTION, Scope.CLUSTER}


def test_an_api_without_a_scope_cannot_be_registered() -> None:
    with pytest.raises(TypeError, match="can name"):
        handles(ApiKey.ALTER_CONFIGS, scopes=set(), authorises=())(lambda request, context: None)


def test_an_api_that_names_topics_and_asks_for_no_right_cannot_be_registered() -> None:
    with pytest.raises(TypeError, match="no right"):
        handles(ApiKey.ALTER_CONFIGS, scopes={Scope.TOPICS}, authorises=())(lambda request, context: None)


def test_an_api_cannot_be_registered_twice() -> None:
    right = Right(Operation.DESCRIBE, ResourceType.TOPIC)
    with pytest.raises(TypeError, match="twice"):
        enter(Api(ApiKey.METADATA, None, frozenset({Scope.TOPICS}), (right,)))
