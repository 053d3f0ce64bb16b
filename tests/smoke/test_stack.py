"""The compose stack, as people start, watch, break and mend it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import pytest

from handoffs.config.topology import Topology
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.tasks.payments.flow import payment
from tests.browser.chromium import running
from tests.browser.person import Person
from tests.smoke.stack import FLEETS, Stack, Traffic, check_completed, check_confined, payment_of, run
from tests.stack import ROOT
from tests.waiting import wait_until


@pytest.fixture
def client(stack: Stack) -> Iterator[Coordinator]:
    """A client on the host."""
    with stack.client() as client:
        yield client


def test_every_container_says_that_it_is_at_work(stack: Stack) -> None:
    """A worker is healthy when it consumes its queue, the coordinator process when it drains, beat when it looks,
    Flower when it answers."""
    for service, agent in FLEETS.items():
        ready = partial(_says, stack, service, f"healthy: ready: consumes {agent}")
        wait_until(ready, description=f"{service} is ready")
    assert stack.health("coordinator") == "healthy: ready: keeps dead letters and history"
    assert stack.health("beat") == "healthy: ready: no schedule is declared"
    assert stack.health("flower") == "healthy: ready: answers 200"
    assert stack.health("console") == "healthy: ready: answers 200"


def test_the_processes_have_no_more_rights_than_they_need(stack: Stack) -> None:
    """Our containers run as an unprivileged user, on a read-only root file system, without capabilities, with limits."""
    for service in (*FLEETS, "coordinator", "beat", "console", "flower"):
        check_confined(stack, service)


def test_ports_are_published_on_loopback_only(stack: Stack) -> None:
    """Nothing of the stack listens on an address that other hosts reach."""
    listed = stack.compose("ps", "--quiet").stdout.split()
    bindings = [
        binding
        for container in listed
        for bound in stack.inspect(container)["NetworkSettings"]["Ports"].values()
        for binding in bound or ()
    ]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_a_payment_is_started_from_the_host(stack: Stack, client: Coordinator) -> None:
    """A payment started on the host goes through the four containers, and its history is in the journal."""
    started = client.start(payment, payment_of("smoke-host-1"))
    assert started.result(timeout=60).outcome == "booked"

    def settled() -> bool:
        agents = [entry["agent"] for entry in started.history() if entry["kind"] == "settled"]
        return agents == list(FLEETS.values())

    wait_until(settled, description="the history has the four steps")
    listed = stack.compose(
        "exec", "-T", "coordinator", "coordinator", "runs", "show", started.id, "--json"
    ).stdout
    assert json.loads(listed)["status"] == "completed"


def test_flower_shows_handoffs_and_no_payload(stack: Stack, client: Coordinator) -> None:
    """In Flower a task is called as its agent, shows run, step and contract and what became of it, and no payload; what
    is parked and what was deduplicated can be told apart. Without a password it shows nothing."""
    first = client.start(payment, payment_of("smoke-flower-1"))
    first.result(timeout=60)
    again = client.start(payment, payment_of("smoke-flower-1"), idempotency_key="smoke-flower-again")
    again.result(timeout=60)
    with stack.books() as ledger, ledger.outage():
        parked = client.start(payment, payment_of("smoke-flower-2"))
        assert parked.wait(timeout=60) == "parked"

    def tasks(run_id: str) -> dict[str, dict[str, str]]:
        found = stack.flower("/api/tasks?limit=10000").values()
        return {task["name"]: task for task in found if task["root_id"] == run_id}

    def seen(run_id: str, agent: str, state: str) -> bool:
        task = tasks(run_id).get(agent)
        return task is not None and task["state"] == state

    for run_id, agent, state in (
        (first.id, "payments.notification", "SUCCESS"),
        (again.id, "payments.notification", "SUCCESS"),
        (parked.id, "payments.ledger", "FAILURE"),
    ):
        wait_until(
            partial(seen, run_id, agent, state),
            description=f"Flower shows {agent} as {state}",
        )
    assert set(tasks(first.id)) == set(FLEETS.values())
    task = tasks(first.id)["payments.ledger"]
    assert task["args"] == (
        f"run={first.id} flow=payments.payment step=3 contract=payments.payment-authorised/1"
    )
    assert task["result"].startswith("'settled payments.payment-booked/1 ")
    assert tasks(again.id)["payments.ledger"]["result"].startswith("'deduplicated payments.payment-booked/1 ")
    assert tasks(parked.id)["payments.ledger"]["exception"].startswith(
        "Parked('payments.ledger: error: LedgerUnavailable"
    )
    shown = json.dumps([tasks(found.id) for found in (first, again, parked)])
    for secret in ("4242424242424242", "12.50", "merchant-1"):
        assert secret not in shown
    with pytest.raises(HTTPError, match="401") as refused:
        stack.flower("/api/tasks", login=False)
    refused.value.close()
    wait_until(lambda: len(parked.letters()) == 1, description="the letter is in the journal")
    parked.letters()[0].replay()
    assert parked.result(timeout=60).outcome == "booked"


def test_a_payment_is_mended_at_the_console(stack: Stack, client: Coordinator) -> None:
    """In a browser, with the token of the stack: a payment is started by its form and parks, for the ledger is away; its cause is read, it is
    edited after a look at the difference, it completes, and it is known who did it. Its card number is nowhere."""
    with running() as browser, browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        person = Person(context.new_page(), f"http://127.0.0.1:{stack.values['CONSOLE_PORT']}")
        person.go("/flows/payments.payment/start")
        person.fill("token", stack.values["CONSOLE_TOKEN"])
        person.press("Sign in")
        with stack.books() as ledger, ledger.outage():
            for name, value in payment_of("smoke-console-1").items():
                person.fill(name, value)
            person.press("Start")
            person.sees("parked")
        [found] = client.runs(key="smoke-console-1")
        [letter] = client.dead_letters(run=found.id)
        person.go(f"/dead-letters/{letter.id}")
        person.sees("LedgerUnavailable")
        person.could_be_read_aloud()
        person.follow("Edit the input")
        person.fill("creditor", "merchant-2")
        person.fill("why", "the shop has moved")
        person.press("Look at it first")
        person.sees("merchant-2")
        person.press("Edit it, and replay it")
        person.sees_after_looking_again(f"/runs/{found.id}", "completed")
        assert "4242424242424242" not in person.page.content()
        person.go(f"/actions?run={found.id}")
        person.sees("the shop has moved")
        for path in ("/now", "/runs", "/dead-letters", "/contracts", "/map", "/doctor"):
            person.go(path)
            person.could_be_read_aloud()
        assert not person.complaints
    actions = [(one.action, one.who) for one in client.actions(run=found.id)]
    assert ("edit", "coordinator") in actions


def test_flower_shows_the_queues(stack: Stack) -> None:
    """Flower's page about the broker has the queue of each agent, whichever began before Flower, and those of timers, dead letters and unheard events."""
    own = ("coordinator.timer", "handoff.dead-letters", "handoff.unheard-events")
    page = stack.flower_page("/broker").decode()
    assert [name for name in (*FLEETS.values(), *own) if name not in page] == []


def test_a_worker_is_killed(stack: Stack, client: Coordinator) -> None:
    """The only ledger worker is killed under load: its container starts again, every run completes, each booked once."""
    with Traffic(client) as traffic:
        container = stack.crash("ledger")
        traffic.wait_for(100)
        wait_until(
            lambda: stack.inspect(container)["RestartCount"] >= 1,
            description="the container was started again",
            timeout=60,
        )
    check_completed(stack, client, traffic.runs)


def test_the_broker_is_restarted(stack: Stack, client: Coordinator) -> None:
    """RabbitMQ is restarted under load: workers say that they lost it, come back, and every run completes."""
    with Traffic(client) as traffic:
        stack.compose("restart", "rabbitmq")
        traffic.wait_for(100)
    check_completed(stack, client, traffic.runs)


def test_redis_is_killed(stack: Stack, client: Coordinator) -> None:
    """Redis is killed under load and started again: what it acknowledged is there, and every run completes."""
    with Traffic(client) as traffic:
        stack.compose("kill", "redis")
        stack.compose("start", "redis")
        traffic.wait_for(100)
    check_completed(stack, client, traffic.runs)


def test_a_fleet_is_scaled_up_and_down(stack: Stack, client: Coordinator) -> None:
    """A fleet grows to three and shrinks to one under load: all three consume, those that go end in good order, and
    every run completes."""
    with Traffic(client) as traffic:
        stack.compose("up", "--detach", "--no-recreate", "--scale", "fraud=3", "fraud")
        stack.wait_healthy("fraud")
        three = stack.containers("fraud")
        assert len(three) == 3
        traffic.wait_for(50)
        gone = sorted(three)[:1]
        run(["docker", "stop", "--time", "60", *gone])
        assert [stack.inspect(container)["State"]["ExitCode"] for container in gone] == [0]
        stack.compose("up", "--detach", "--no-recreate", "--scale", "fraud=1", "fraud")
        assert len(stack.containers("fraud")) == 1
        traffic.wait_for(50)
    check_completed(stack, client, traffic.runs)


def test_the_whole_stack_is_stopped_and_started(stack: Stack) -> None:
    """Everything is taken down with runs in flight and brought up again: what was stored is there, and they complete."""
    stack.compose("stop", "notification")
    with stack.client() as client, Traffic(client) as traffic:
        pass
    numbers = [run.id for run in traffic.runs]
    stack.compose("down")
    assert stack.compose("ps", "--all", "--quiet").stdout == ""
    stack.make_up()
    with stack.client() as client:
        check_completed(stack, client, [client.run(number) for number in numbers])


def test_a_queue_with_other_arguments_holds_its_worker(stack: Stack, client: Coordinator) -> None:
    """A worker that finds its queue with other arguments says so in its health check and in its log, in one line with
    what to do; it is not started again and again, and goes on by itself when the queue is mended."""
    stack.compose("stop", "fraud")
    queue = Topology(delivery_limit=7).queue("payments.fraud")
    with client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(queue.name)
        queue(channel).declare()
        try:
            stack.compose("start", "fraud")
            held = partial(
                _is_held, stack, "held: the broker has a queue or an exchange with other arguments"
            )
            wait_until(held, description="the health check says why", timeout=60)
            said = stack.health("fraud")
            for word in ("x-delivery-limit", "payments.fraud", "delete_queue"):
                assert word in said
            assert "\n" not in said
            [container] = stack.containers("fraud")
            assert stack.inspect(container)["RestartCount"] == 0
            assert "held: the broker has a queue" in stack.compose("logs", "fraud").stdout
        finally:
            channel.queue_delete(queue.name)
    stack.wait_healthy("fraud")
    assert client.start(payment, payment_of("smoke-mended-1")).result(timeout=60).outcome == "booked"


def test_a_missing_secret_is_named(stack: Stack, tmp_path: Path) -> None:
    """Without a secret nothing starts, and one line names it and says what to do."""
    poor = tmp_path / "poor.env"
    poor.write_text(stack.env_file.read_text("utf-8").replace("REDIS_PASSWORD=", "OTHER="), "utf-8")
    done = run(
        ["docker", "compose", "--env-file", str(poor), "config", "--quiet"], stack.environment, check=False
    )
    assert done.returncode != 0
    assert "REDIS_PASSWORD" in done.stderr
    assert "is not set, run make up" in done.stderr


def test_an_occupied_port_is_named(image: str, tmp_path: Path) -> None:
    """`make up` with a port that another program has starts nothing, and one line names the port and its variable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env_file = tmp_path / ".env"
        env_file.write_text(f"REDIS_PORT={port}\nPOSTGRES_PORT={port}\n", "utf-8")
        nobody = Stack("coordinator-smoke-port", env_file, {})
        done = nobody.make_up(check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(
        f"stack: port {port} (REDIS_PORT) is taken by another program; nothing was started; set"
    )
    assert nobody.compose("ps", "--all", "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("COORDINATOR_BROKER_URL", "amqp://127.0.0.1:1//", "held: the broker cannot be reached"),
        ("COORDINATOR_REDIS_URL", "redis://127.0.0.1:1/0", "held: Redis cannot be used"),
        ("COORDINATOR_LEASE", "soon", "held: the settings are not valid: lease"),
    ],
)
def test_a_process_that_cannot_work_is_held(stack: Stack, variable: str, value: str, reason: str) -> None:
    """A worker whose settings are wrong, or whose server is not there, stays, unhealthy, and says why in one line."""
    started = stack.compose(
        "run", "--detach", "--no-deps", "--env", f"{variable}={value}", "fraud"
    ).stdout.split()
    container = started[-1]
    try:

        def said() -> str:
            return run(
                ["docker", "exec", container, "python", "-m", "handoffs.config.health"], check=False
            ).stdout

        wait_until(lambda: said().startswith(reason), description=f"it says {reason!r}", timeout=60)
        assert len(said().splitlines()) == 1
        state = stack.inspect(container)
        assert (state["State"]["Running"], state["RestartCount"]) == (True, 0)
    finally:
        run(["docker", "rm", "--force", container])


def test_the_image_holds_only_what_it_runs(image: str) -> None:
    """The image has no build tool, no test and no secret, and shows the demo by itself."""
    listed = run(
        [
            "docker",
            "run",
            "--rm",
            "--read-only",
            "--tmpfs",
            "/tmp",
            image,
            "sh",
            "-c",
            "ls /opt/coordinator/lib/python3*/site-packages; ls -A /app; env",
        ]
    ).stdout
    for word in ("hatchling", "pytest", "flower", "tornado", "PASSWORD", str(ROOT)):
        assert word not in listed


def _is_held(stack: Stack, why: str) -> bool:
    return why in stack.health("fraud")


def _says(stack: Stack, service: str, line: str) -> bool:
    return stack.health(service) == line
