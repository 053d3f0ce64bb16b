"""The Celery app: settings in, app out; nothing global, nothing misspelt, nothing opened."""

from typing import Any

import celery._state
import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten

from handoffs.config.app import _configuration as configuration
from handoffs.config.app import create_app
from handoffs.config.intake import Intake
from handoffs.config.topology import Topology
from tests.store_suite import make_settings

SERVERS = {"broker_url": "amqp://guest@localhost//", "redis_url": "redis://localhost/0"}


@pytest.fixture
def app() -> Celery:
    """An app with two agents."""
    return create_app(
        make_settings(namespace="shop", **SERVERS), {"test.one": Intake(), "test.two": Intake()}
    )


def test_every_key_is_known() -> None:
    """Celery knows every key that is set: it would ignore a misspelt one in silence."""
    known = dict(flatten(NAMESPACES))
    given = configuration(make_settings(), Topology(), {})
    assert given
    assert sorted(given.keys() - known.keys()) == []


def test_queues_of_the_agents(app: Celery) -> None:
    """The app consumes one queue an agent, declared as the topology says, and makes no others."""
    assert sorted(app.amqp.queues) == ["shop.test.one", "shop.test.two"]
    queue = app.amqp.queues["shop.test.one"]
    declared: Any = Topology("shop.", 20).queue("test.one")
    assert queue.queue_arguments == declared.queue_arguments
    assert queue.exchange.name == "shop.handoff.agents"
    assert app.conf.task_create_missing_queues is False


def test_promises(app: Celery) -> None:
    """Messages are acknowledged late, confirmed, and never acknowledged because they failed; results go nowhere."""
    conf = app.conf
    assert conf.task_acks_late
    assert not conf.task_acks_on_failure_or_timeout
    assert conf.broker_transport_options["confirm_publish"]
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])


def test_settings_are_taken_over() -> None:
    """Broker and eager mode are as the settings say; without a broker it is the one in this process."""
    assert create_app(make_settings(**SERVERS)).conf.broker_url == SERVERS["broker_url"]
    assert create_app(make_settings()).conf.broker_url == "memory://"
    assert create_app(make_settings(eager=True)).conf.task_always_eager


def test_nothing_is_global(app: Celery) -> None:
    """An app is nobody's current app, and two apps have nothing in common."""
    other = create_app(make_settings(), {"test.three": Intake()})
    assert celery._state._tls.current_app not in (app, other)
    assert celery._state.default_app not in (app, other)
    assert sorted(other.amqp.queues) == ["test.three"]
