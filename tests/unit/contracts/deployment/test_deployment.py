"""Whether a build may be deployed: every rule, in both directions."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.deployment import (
    Build,
    Decision,
    Deployed,
    Outstanding,
    Problem,
    State,
    judge,
    negotiated,
)
from handoffs.contracts.manifest import Manifest
from tests.builds import deployed, manifest, schemas

SCORED = "payments.fraud-scored"
FRAUD = "payments.fraud"
AUTHORISATION = "payments.authorisation"


def fraud(*emits: int, **more: Any) -> Manifest:
    """A producer."""
    return manifest(FRAUD, accepts={"payments.submitted": [1]}, emits={SCORED: emits}, **more)


def authorisation(*accepts: int, **more: Any) -> Manifest:
    """A consumer."""
    return manifest(AUTHORISATION, accepts={SCORED: accepts}, emits={"payments.authorised": [1]}, **more)


def there(build: Manifest, state: State = "live") -> Deployed:
    return Deployed(build, state)


def only(decision: Decision) -> Problem:
    """The one problem of a decision."""
    assert not decision.ok
    [problem] = decision.problems
    return problem


def waits(version: int, total: int = 3, dead: int = 0) -> Outstanding:
    return Outstanding(AUTHORISATION, ContractRef(SCORED, version), total, dead)


# Nothing known


def test_nobody_is_deployed() -> None:
    """Where nothing is known anything may be deployed, and it is said that nobody was there to ask."""
    decision = judge(fraud(2), [], [])
    assert decision.ok
    assert decision.edges == ()
    assert decision.notes == (
        f"nobody is deployed that reads {SCORED}",
        "nobody is deployed that writes payments.submitted",
    )
    assert "any order works" in decision.order[0]


def test_who_shares_no_contract_is_no_edge() -> None:
    """Agents of other contracts, and other builds of the agent itself, are no edges."""
    other = deployed("live", "media.transcode", accepts={"media.uploaded": [1]}, emits={"media.done": [1]})
    decision = judge(fraud(2), [other, there(fraud(1)), there(fraud(2))], [])
    assert (decision.ok, decision.edges) == (True, ())


# What I emit


@pytest.mark.parametrize("state", ["live", "recorded"])
@pytest.mark.parametrize(
    ("emits", "accepts", "version", "how"),
    [
        ([1], [1], 1, "as it is"),
        ([2, 1], [2, 1], 2, "as it is"),
        ([2, 1], [1], 1, "downcast"),
        ([1], [2, 1], 1, "upcast"),
        ([3, 2], [4, 2], 2, "downcast, upcast"),
        ([3, 2, 1], [2, 1], 2, "downcast"),
    ],
)
def test_what_i_emit_each_consumer_reads(
    emits: list[int], accepts: list[int], version: int, how: str, state: State
) -> None:
    """The edge is there with the newest version that both know, and how it comes about."""
    decision = judge(fraud(*emits), [there(authorisation(*accepts), state)], [])
    [edge] = decision.edges
    assert decision.ok
    assert (edge.rule, edge.writer.agent, edge.reader.agent) == ("emits", FRAUD, AUTHORISATION)
    assert (edge.version, edge.how) == (version, how)


@pytest.mark.parametrize("state", ["live", "recorded"])
def test_what_i_emit_a_consumer_does_not_read(state: State) -> None:
    """The problem names the other build and both sides, shows an instance that breaks, the field, and what to do."""
    old = authorisation(1)
    decision = judge(fraud(2), [there(old, state)], [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.build, problem.state) == (
        "emits",
        AUTHORISATION,
        old.build,
        state,
    )
    assert (problem.contract, problem.writes, problem.reads) == (SCORED, (2,), (1,))
    assert (problem.broken, problem.witness) == (True, {"risk_score": ""})
    assert [difference.path for difference in problem.differences] == ["/risk_level"]
    assert f"writes {SCORED}/2" in problem.text
    assert f"reads {SCORED}/1" in problem.text
    assert f"downcast from {SCORED}/2 to {SCORED}/1" in problem.remedy
    assert "/risk_level" in str(problem)
    assert decision.order == (f"deploy {AUTHORISATION} with {SCORED}/2 first, then {FRAUD}",)


def test_a_consumer_that_dropped_what_i_emit() -> None:
    """Where the consumer is newer, the remedy is its upcast."""
    problem = only(judge(fraud(1), [there(authorisation(2))], []))
    assert problem.remedy.startswith(f"add the upcast from {SCORED}/1 to {SCORED}/2 to {AUTHORISATION}")


def test_each_consumer_agent_is_served_by_itself() -> None:
    """Consumers have queues of their own: one may get what another could not read."""
    audit = deployed("live", "payments.audit", accepts={SCORED: [2]})
    decision = judge(fraud(2, 1), [there(authorisation(1)), audit], [])
    assert decision.ok
    assert {edge.reader.agent: edge.version for edge in decision.edges} == {
        AUTHORISATION: 1,
        "payments.audit": 2,
    }


def test_builds_of_a_consumer_are_served_together() -> None:
    """While two builds of a consumer are live, what is sent is what both read."""
    decision = judge(fraud(2, 1), [there(authorisation(1)), there(authorisation(2, 1))], [])
    assert decision.ok
    assert [(edge.version, edge.how) for edge in decision.edges] == [(1, "downcast"), (1, "downcast, upcast")]


def test_builds_of_a_consumer_that_have_nothing_in_common() -> None:
    """Where each build of a consumer reads something, and nothing is read by all, that is a problem of its own."""
    old = authorisation(1)
    decision = judge(fraud(2, 1), [there(authorisation(2)), there(old)], [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.writes, problem.reads) == (
        "rolling",
        AUTHORISATION,
        (2, 1),
        (1,),
    )
    assert problem.witness == {"risk_score": ""}
    assert decision.order == (
        f"stop and withdraw {AUTHORISATION} build {old.build} first, then deploy {FRAUD}",
    )


def test_a_consumer_that_is_halfway_upgraded() -> None:
    """Where a build that reads it is there already, the order is to withdraw the other one."""
    old = authorisation(1)
    decision = judge(fraud(2), [there(authorisation(2, 1)), there(old)], [])
    assert only(decision).build == old.build
    assert decision.order == (
        f"stop and withdraw {AUTHORISATION} build {old.build} first, then deploy {FRAUD}",
    )
    assert [edge.version for edge in decision.edges] == [2]


# What I accept


@pytest.mark.parametrize("state", ["live", "recorded"])
def test_what_each_producer_emits_i_read(state: State) -> None:
    """The edge is there with the newest version that both know."""
    [edge] = judge(authorisation(2, 1), [there(fraud(1), state)], []).edges
    assert (edge.rule, edge.writer, edge.version, edge.how) == ("accepts", Build.of(fraud(1)), 1, "upcast")


@pytest.mark.parametrize("state", ["live", "recorded"])
def test_what_a_producer_emits_i_do_not_read(state: State) -> None:
    """An upcast is missing: the problem shows what the producer writes and the new build cannot read."""
    decision = judge(authorisation(2), [there(fraud(1), state)], [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.state) == ("accepts", FRAUD, state)
    assert (problem.writes, problem.reads, problem.witness) == ((1,), (2,), {"risk_level": ""})
    assert problem.remedy == f"add the upcast from {SCORED}/1 to {SCORED}/2 to {AUTHORISATION}"
    assert decision.order == (f"deploy {FRAUD} with {SCORED}/2 first, then {AUTHORISATION}",)


def test_a_producer_that_is_newer_than_i() -> None:
    """What is written in a version that the new build does not know yet: read it, or downcast it."""
    decision = judge(authorisation(1), [there(fraud(2))], [])
    problem = only(decision)
    assert (problem.rule, problem.witness) == ("accepts", {"risk_score": ""})
    assert problem.remedy.startswith(f"let {AUTHORISATION} read {SCORED}/2, or give {FRAUD} the downcast")
    assert decision.order == (f"deploy {FRAUD} with {SCORED}/1 first, then {AUTHORISATION}",)


def test_no_order_helps_where_an_upcast_is_missing() -> None:
    """While the old build is there a producer goes on writing what it reads, so the new one must read it too."""
    decision = judge(authorisation(2), [there(fraud(1)), there(authorisation(1))], [])
    assert [problem.rule for problem in decision.problems] == ["accepts"]
    assert decision.order[0].startswith(f"no order helps while {AUTHORISATION} does not read {SCORED}/1")


@pytest.mark.parametrize("state", ["live", "recorded"])
def test_rolling_an_agent_needs_one_version_for_all_its_builds(state: State) -> None:
    """The producer could write for either build, and cannot write for both."""
    old = authorisation(1)
    decision = judge(authorisation(2), [there(fraud(2, 1)), there(old, state)], [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.build) == ("rolling", AUTHORISATION, old.build)
    assert (problem.writes, problem.reads, problem.witness) == ((2, 1), (1,), {"risk_score": ""})
    assert "let all of them read one version" in problem.remedy
    assert decision.order == (
        f"stop and withdraw {old.agent} build {old.build} first, then deploy {AUTHORISATION}",
    )


def test_rolling_with_an_upcast_goes() -> None:
    """A new build that reads the old version as well gets it until the old build is gone."""
    [edge] = judge(authorisation(2, 1), [there(fraud(2, 1)), there(authorisation(1))], []).edges
    assert (edge.version, edge.how) == (1, "downcast, upcast")


def test_three_builds_need_one_version_for_all_three() -> None:
    """It is not enough that any two of them have one in common."""
    known = [there(fraud(3, 2, 1)), there(authorisation(2, 1)), there(authorisation(3, 2))]
    assert judge(authorisation(2), known, []).ok
    assert only(judge(authorisation(3, 1), known, [])).rule == "rolling"


def test_an_old_build_that_accepts_something_else_is_no_reader() -> None:
    """A build of the agent that reads another contract takes no part."""
    old = manifest(AUTHORISATION, accepts={"payments.other": [1]})
    assert judge(authorisation(2), [there(fraud(2, 1)), there(old)], []).ok


# What is outstanding


def test_what_is_outstanding_i_read() -> None:
    """Messages in a version that the new build reads are in nobody's way, nor are those of other agents."""
    other = Outstanding(FRAUD, ContractRef("payments.submitted", 9), 5)
    assert judge(authorisation(2, 1), [], [waits(1), waits(2), other]).ok


@pytest.mark.parametrize("where", ["live", "recorded", "previous"])
def test_what_is_outstanding_i_do_not_read(where: State) -> None:
    """The problem says how many, how many of them dead letters, and shows one where anybody knows the version."""
    decision = judge(authorisation(2), [there(authorisation(1), where)], [waits(1, 7, 2)])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.writes, problem.reads) == (
        "outstanding",
        AUTHORISATION,
        (1,),
        (2,),
    )
    assert f"7 messages of {SCORED}/1 are outstanding" in problem.text
    assert "(2 dead-lettered)" in problem.text
    assert "add the upcast" in problem.remedy
    assert decision.order[0].startswith(f"have the outstanding {SCORED}/1 handled first")
    old = schemas(1)
    assert authorisation(1).schemas[f"{SCORED}/1"] == old
    assert problem.witness == {"risk_level": ""}


def test_what_is_outstanding_of_a_contract_that_i_do_not_accept_any_more() -> None:
    """Another contract altogether is no less of a break; what is not known gives no witness."""
    new = manifest(AUTHORISATION, accepts={"payments.other": [1]})
    problem = only(judge(new, [], [waits(1, 1)]))
    assert (problem.rule, problem.reads, problem.verdict, problem.broken) == ("outstanding", (), None, False)
    assert f"1 message of {SCORED}/1 is outstanding" in problem.text


def test_none_is_none() -> None:
    """A count of nothing is in nobody's way."""
    assert judge(authorisation(2), [], [waits(1, 0)]).ok


# Rollback


def test_what_i_emit_the_previous_build_of_a_consumer_reads() -> None:
    """After a rollback of the consumer the edge still holds."""
    known = [there(authorisation(2, 1)), there(authorisation(1), "previous")]
    decision = judge(fraud(2, 1), known, [])
    assert decision.ok
    assert [(edge.rule, edge.version) for edge in decision.edges] == [("emits", 2), ("rollback", 1)]


def test_what_i_emit_the_previous_build_of_a_consumer_does_not_read() -> None:
    """A consumer that was just upgraded must be able to go back."""
    known = [there(authorisation(2)), there(authorisation(1), "previous")]
    decision = judge(fraud(2), known, [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.state) == ("rollback", AUTHORISATION, "previous")
    assert problem.witness == {"risk_score": ""}
    assert "to which a rollback returns" in problem.text
    assert decision.order[0].startswith(f"deploy {AUTHORISATION} once more with {SCORED}/2")


def test_the_previous_build_of_a_producer_or_of_nobody_is_no_edge() -> None:
    """Only consumers that are deployed can go back."""
    assert judge(authorisation(2), [there(fraud(2)), there(fraud(1), "previous")], []).ok
    assert judge(fraud(2), [there(authorisation(1), "previous")], []).ok


# Fingerprints


@pytest.mark.parametrize("reverse", [False, True])
def test_one_version_with_two_fingerprints(reverse: bool) -> None:
    """Somebody changed a published version: by number both sides agree, and yet it breaks."""
    mark = {f"{SCORED}/2": "sha256:" + "f" * 64}
    odd = fraud(2, fingerprints=mark, schemas={f"{SCORED}/2": schemas(9)})
    sound = authorisation(2)
    new, other = (sound, odd) if reverse else (odd, sound)
    decision = judge(new, [there(other)], [])
    problem = only(decision)
    assert (problem.rule, problem.agent, problem.writes, problem.reads) == (
        "fingerprint",
        other.agent,
        (2,),
        (2,),
    )
    assert problem.witness == {"field_9": ""}
    assert "a published version was changed" in problem.text
    assert "no order helps" in decision.order[0]
    assert decision.edges == ()


def test_a_changed_version_that_still_fits_is_a_break_too() -> None:
    """Compatible or not, a published version is not changed."""
    odd = fraud(2, fingerprints={f"{SCORED}/2": "sha256:" + "f" * 64})
    problem = only(judge(odd, [there(authorisation(2))], []))
    assert problem.verdict is not None
    assert (problem.rule, problem.verdict.verdict, problem.broken) == ("fingerprint", "compatible", False)


def test_a_changed_version_of_what_is_outstanding() -> None:
    """What was queued for the old build under a version is not what the new build takes it for."""
    odd = authorisation(1, fingerprints={f"{SCORED}/1": "sha256:" + "f" * 64})
    assert judge(odd, [there(authorisation(1))], []).ok
    assert only(judge(odd, [there(authorisation(1))], [waits(1)])).rule == "fingerprint"


# In whole


def test_all_problems_are_told_at_once_and_the_order_is_one_sentence() -> None:
    """Several others to deploy first are named together, each once."""
    new = manifest(FRAUD, emits={SCORED: [2], "payments.noted": [5]})
    known = [
        there(authorisation(1)),
        deployed("recorded", "payments.audit", accepts={SCORED: [1], "payments.noted": [4]}),
    ]
    decision = judge(new, known, [])
    assert len(decision.problems) == 3
    assert list(decision.order) == [
        f"deploy {AUTHORISATION} with {SCORED}/2, payments.audit with {SCORED}/2 and payments.noted/5 first, then {FRAUD}"
    ]


def test_a_schema_that_is_none_is_not_decided() -> None:
    """A document that is no JSON Schema gives no witness, and the break stays a break."""
    odd = fraud(2, schemas={f"{SCORED}/2": {"writes": {"type": "nonsense"}, "reads": {}}})
    problem = only(judge(odd, [there(authorisation(1))], []))
    assert problem.verdict is not None
    assert (problem.verdict.verdict, problem.witness) == ("unknown", None)


def test_compatible_schemas_are_said_to_be() -> None:
    """Where only the publishing is missing, the remedy says so."""
    same = {f"{SCORED}/2": schemas(1)}
    problem = only(judge(fraud(2, schemas=same), [there(authorisation(1))], []))
    assert "no function is needed" in problem.remedy


_NAMES = st.sampled_from(["c.one", "c.two"])
_SIDES = st.dictionaries(_NAMES, st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True), max_size=2)
_MANIFESTS = st.builds(
    lambda agent, accepts, emits: manifest(agent, accepts=accepts, emits=emits),
    st.sampled_from(["agent.new", "agent.b", "agent.c"]),
    _SIDES,
    _SIDES,
)
_STATES: st.SearchStrategy[State] = st.sampled_from(["live", "recorded", "previous"])


def _writable_for_all(writer: Manifest, builds: Sequence[Manifest]) -> bool:
    """Whether a producer finds a version for each contract, for the builds of one agent that are live together."""
    return all(
        negotiated(versions, [build.accepts[name] for build in builds if name in build.accepts])
        for name, versions in writer.emits.items()
    )


@given(
    new=st.builds(lambda accepts, emits: manifest("agent.new", accepts=accepts, emits=emits), _SIDES, _SIDES),
    known=st.lists(st.builds(Deployed, _MANIFESTS, _STATES), max_size=5),
)
def test_what_may_be_deployed_finds_a_version_for_whoever_is_live(
    new: Manifest, known: list[Deployed]
) -> None:
    """If the answer is yes, every producer that the new build meets finds a version for every set of consumer builds
    that can be live, each by itself and all of them; and the new build finds one after any consumer's rollback."""
    decision = judge(new, known, [])
    if not decision.ok:
        return
    groups: dict[str, list[Manifest]] = defaultdict(list)
    for build in known:
        if build.state != "previous":
            groups[build.manifest.agent].append(build.manifest)
    mine = groups.pop("agent.new", [])
    for builds in groups.values():
        for size in range(1, len(builds) + 1):
            for live in itertools.combinations(builds, size):
                assert _writable_for_all(new, live)
        for producer in builds:
            for size in range(len(mine) + 1):
                for live in itertools.combinations(mine, size):
                    shared = {name: producer.emits[name] for name in producer.emits if name in new.accepts}
                    for name, versions in shared.items():
                        readers = [new, *(build for build in live if name in build.accepts)]
                        assert negotiated(versions, [reader.accepts[name] for reader in readers])
    for build in known:
        if build.state == "previous" and build.manifest.agent in groups:
            assert _writable_for_all(new, [build.manifest])


@given(
    new=st.builds(lambda accepts, emits: manifest("agent.new", accepts=accepts, emits=emits), _SIDES, _SIDES),
    known=st.lists(st.builds(Deployed, _MANIFESTS, _STATES), max_size=5),
    lost=st.lists(st.builds(Outstanding, st.just("agent.new"), st.builds(ContractRef, _NAMES, st.integers(1, 4)),
                            st.integers(0, 2)), max_size=3),
)  # fmt: skip
def test_a_no_has_reasons_and_every_answer_an_order(
    new: Manifest, known: list[Deployed], lost: list[Outstanding]
) -> None:
    """Whatever is known, the answer comes with an order, and each problem with both sides and a remedy; what it says of
    an edge is true of the manifests."""
    decision = judge(new, known, lost)
    assert decision.order
    for problem in decision.problems:
        assert problem.text
        assert problem.remedy
    for edge in decision.edges:
        assert edge.version in edge.writes
        assert edge.version in edge.reads


# Events

AUDIT = "payments.audit"
HEARD = [SCORED]


def audit(*accepts: int, **more: Any) -> Manifest:
    """Another consumer, which hears the same event."""
    return manifest(AUDIT, accepts={SCORED: accepts}, subscribes=HEARD, **more)


def test_what_i_emit_to_all_who_hear_it_is_sent_once() -> None:
    """Agents that hear one event need a version in common, where steps of a flow are each written for."""
    known = [there(authorisation(1, subscribes=HEARD)), there(audit(2))]
    problem = only(judge(fraud(2, 1), known, []))
    assert (problem.rule, problem.writes) == ("subscribers", (2, 1))
    assert "payments.audit" in problem.text
    assert "payments.authorisation" in problem.text
    assert judge(fraud(2, 1), [there(authorisation(1)), there(audit(2))], []).ok
    assert judge(fraud(2, 1), [there(authorisation(1, subscribes=HEARD)), there(audit(2, 1))], []).ok


@pytest.mark.parametrize("state", ["live", "recorded"])
def test_what_i_hear_others_hear_too(state: State) -> None:
    """A new subscriber must read a version that the emitter can write for the other subscribers as well."""
    known = [there(fraud(2, 1)), there(authorisation(1, subscribes=HEARD), state)]
    problem = only(judge(audit(2), known, []))
    assert (problem.rule, problem.agent) == ("subscribers", FRAUD)
    assert judge(audit(2, 1), known, []).ok
    assert judge(manifest(AUDIT, accepts={SCORED: [2]}), known, []).ok  # it is no subscriber


def test_a_subscriber_that_cannot_be_served_is_told_once() -> None:
    """Where one of them reads nothing of it at all, that is the problem, and not that there is nothing in common."""
    known = [there(authorisation(3, subscribes=HEARD)), there(audit(2))]
    assert [problem.rule for problem in judge(fraud(2, 1), known, []).problems] == ["emits"]
    assert [problem.rule for problem in judge(audit(3), [there(fraud(2, 1)), known[1]], []).problems] == [
        "accepts"
    ]


def test_who_hears_by_a_pattern_reads_any_version() -> None:
    """A pattern binds no version; that somebody hears it is noted."""
    ear = manifest("payments.ear", accepts={"coordinator.event": [1]}, subscribes=["payments.*"])
    decision = judge(fraud(7), [there(ear)], [])
    assert decision.ok
    assert f"payments.ear hears {SCORED} by a pattern, and reads any version of it" in decision.notes
    assert not any("coordinator" in note for note in judge(ear, [there(fraud(7))], []).notes)
    silent = manifest(
        "payments.silent", accepts={"payments.submitted": [1]}, emits={"coordinator.nothing": [1]}
    )
    assert not any("coordinator" in note for note in judge(silent, [], []).notes)
