"""Flower's pages, where they have to know this system: which queues there are, and why a task cannot be opened. Imported only where Flower
is installed and started."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from flower.utils.broker import Broker
from flower.utils.tasks import get_task_by_id
from flower.views import BaseHandler
from flower.views.tasks import TaskView
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from handoffs.contracts.contract import valid_name
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.messaging.queues import depths
from handoffs.coordinator.runtime.engine import Engine

_log = logging.getLogger(__name__)

_PLACES = (b'<div class="detail-actions">', b'<main class="app-content" id="main-content">')
"""Where a link may stand in the page of a task: the first that is there."""

Row = dict[str, Any]
"""A queue as RabbitMQ's management API describes one, as far as the page shows it."""


def instruct(engine: Engine) -> None:
    """Have the Flower that this process starts show the queues of an installation, and say what it can say of a task that it does not
    know."""
    page = QueuesOfInstallation(engine)

    def broker(handler: BaseHandler) -> _Asked:
        return _Asked(page, _own_broker(handler))

    _own_broker = BaseHandler.get_broker
    BaseHandler.get_broker = broker
    TaskView.prepare = _explain_unknown
    if console := engine.settings.console.public_url:
        _link_to(console)


def _link_to(console: str) -> None:
    """Have the page of each task lead to its run in the console."""

    def rendered(handler: TaskView, template_name: str, **values: Any) -> bytes:
        page = _own_page(handler, template_name, **values)
        return with_link(page, console, str(getattr(values.get("task"), "root_id", "") or ""))

    _own_page = TaskView.render_string
    TaskView.render_string = rendered


def with_link(page: bytes, console: str, run: str) -> bytes:
    """The page of a task with a link to its run in the console, which is at that address, below its heading; as it is where its run is not known."""
    place = next((mark for mark in _PLACES if mark in page), None)
    if not run or place is None:
        return page
    address = escape(f"{console}/runs/{quote(run, safe='')}")
    link = f'<a class="btn btn-outline-primary" id="console-run" href="{address}" rel="noreferrer">Its run in the console</a>'
    return page.replace(place, place + link.encode(), 1)


class QueuesOfInstallation:
    """The queues of one installation: of its agents, of delays and timers, of dead letters, and of unheard events.

    Flower knows those that a worker had told it of when Flower was started, and no others.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        topology = engine.topology
        self._dead = topology.dead.name
        self._kept = [str(queue.name) for queue in (topology.dead_letters, topology.unheard_events)]
        self._ours = f"{topology.prefix}handoff."
        self._host = engine.app.connection_for_read().virtual_host

    def names(self) -> list[str]:
        """The queues that are known without the management API: of agents that are loaded here, announced or deployed, and our own."""
        topology, agents = self._engine.topology, set(self._engine.agents)
        try:
            agents |= {name for name in self._engine.services.announcements.agents() if valid_name(name)}
        except CoordinationError as error:
            _log.warning("queues of agents that are not loaded here are not shown: %s", error)
        return [*map(topology.queue_name, sorted(agents)), str(topology.timers.name), *self._kept]

    def chosen(self, found: Iterable[Mapping[str, Any]], names: Collection[str]) -> list[Row]:
        """Those of all queues of the broker that are this installation's, in its virtual host: the ones of these names, the ones that dead-letter where our
        agents' do, and what is called as our own. Agents' queues come first, then ours, delays by their length."""
        own = [dict(queue) for queue in found if self._is_ours(queue, names)]
        return sorted(own, key=lambda queue: _order(str(queue["name"]), self._ours))

    def asked(self, names: Iterable[str]) -> list[Row]:
        """What the broker says of these queues over AMQP, of those that exist. Blocks.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where it does not answer.
        """
        found = depths(
            self._engine.app, names, cause="RabbitMQ does not answer", consequence="no queue is shown"
        )
        rows = (
            {"name": name, "messages_ready": depth.ready, "consumers": depth.consumers}
            for name, depth in found.items()
        )
        return sorted(rows, key=lambda queue: _order(str(queue["name"]), self._ours))

    def _is_ours(self, queue: Mapping[str, Any], names: Collection[str]) -> bool:
        name, arguments = str(queue.get("name", "")), queue.get("arguments") or {}
        if queue.get("vhost", self._host) != self._host:
            return False
        if name in names or name.startswith(self._ours):
            return True
        return isinstance(arguments, Mapping) and arguments.get("x-dead-letter-exchange") == self._dead


class _Asked:
    """In the place of Flower's own client of a broker."""

    def __init__(self, page: QueuesOfInstallation, own: Broker) -> None:
        self._page = page
        self._own = own

    async def queues(self, names: Iterable[str]) -> list[Row]:
        """What the management API says of the queues; where it says nothing, what AMQP does."""
        loop = asyncio.get_running_loop()
        known = await loop.run_in_executor(None, self._page.names)
        known = [*dict.fromkeys([*known, *names])]
        try:
            if found := self._page.chosen(await self._own.queues(_Every()), known):
                return found
        except (HTTPClientError, OSError, LookupError, TypeError, ValueError) as error:
            _log.warning("the management API was not understood: %s", printable(error, 200))
        return await loop.run_in_executor(None, self._page.asked, known)


class _Every:
    """Every name is among these."""

    def __contains__(self, name: object) -> bool:
        return True


def _order(name: str, ours: str) -> tuple[bool, list[tuple[bool, int, str]]]:
    parts = re.split(r"(\d+)", name)
    return name.startswith(ours), [
        (part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts
    ]


def _explain_unknown(handler: TaskView) -> None:
    """Raise :class:`tornado.web.HTTPError`, before the page of a task is made, where Flower does not know it, with what to do."""
    if not handler.current_user:
        return  # who is not logged in is told of that
    task = str(handler.path_args[0]) if handler.path_args else ""
    events = handler.application.events
    if get_task_by_id(events, task) is None:
        raise HTTPError(
            404, _unknown(task, events.state.tasks.items(), handler.application.options.max_tasks)
        )


def _unknown(task: str, known: Iterable[tuple[str, Any]], most: int) -> str:
    shown = printable(task, 200)
    if any(getattr(one, "root_id", None) == task for _, one in known):
        return (
            f"{shown} is a run (or a story), and no task of it: search the Tasks page for args:{shown} to see its tasks, "
            f"or see all of it: coordinator runs show {shown}"
        )
    return (
        f"Flower does not know the task {shown}: it knows the last {most:,} tasks that workers have told of since it was started. "
        "What became of it is in the history of its run: coordinator runs list, coordinator runs show RUN"
    )
