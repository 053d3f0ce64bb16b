"""Contracts: who speaks which version, what two versions are to one another, and whether a build may be deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.coordinator.errors import UnknownContract
from tests.builds import manifest
from tests.eager.console.pages import console
from tests.eager.office import AGENT, BUILD, Office

SCORED = "payments.fraud-scored"


def test_all_contracts_are_listed(office: Office) -> None:
    """Published ones and those that only the code has, with who reads and writes them; filtered, page by page, and with the command."""
    with console(office.coordinator) as browser:
        page = browser.get("/contracts?text=office.file")
        assert f'href="/contracts/{"office.filed"}"' in page
        assert "coordinator contracts list" in page
        lines = {one["name"]: one for one in browser.json("/api/contracts?limit=500")["contracts"]}
        assert (lines["office.filed"]["state"], lines["office.filed"]["producers"]) == (
            "not published",
            ["office.file"],
        )
        assert (lines[SCORED]["versions"], lines[SCORED]["mode"]) == ([2, 1], "FULL_TRANSITIVE")
        assert "office.price" in lines["office.order"]["consumers"]
        names: list[str] = []
        after: str | None = ""
        while after is not None:
            told = browser.json(f"/api/contracts?limit=7&after={after}")
            names += [one["name"] for one in told["contracts"]]
            after = told["after"]
        assert names == sorted(lines)
        assert "There is none of that kind" in browser.get("/contracts?text=nothing-of-this")


def test_what_waits_of_a_contract_is_counted(office: Office) -> None:
    """The parked message of the failed run is outstanding, by its version."""
    with console(office.coordinator) as browser:
        told = browser.json("/api/contracts/office.order")
        assert (told["outstanding"], told["details"][0]["outstanding"]) == (1, 1)


def test_one_contract_has_its_versions_and_their_fields(office: Office) -> None:
    """Each field with its type, whether it is needed, and its marks; the chosen version is shown, and the page names its command."""
    with console(office.coordinator) as browser:
        told = browser.json(f"/contracts/{SCORED}.json")
        fields = {field["name"]: field for field in told["details"][0]["fields"]}
        assert fields["card_number"]["sensitive"] is True
        assert fields["payment_id"]["key"] is True
        assert [step["word"] for step in told["details"][0]["migrations"]] == ["upcast", "downcast"]
        page = browser.get(f"/contracts/{SCORED}?version=1")
        assert "Fields of version 1" in page
        assert f"coordinator contracts show {SCORED}/1" in page


def test_two_versions_are_compared(office: Office) -> None:
    """By their schemas each cannot read the other, with a witness in which secrets are masked; the migrations make good what the mode promises."""
    with console(office.coordinator) as browser:
        found = browser.json(f"/api/contracts/{SCORED}")["comparison"]
        assert (found["older"], found["newer"]) == (1, 2)
        assert [change["path"] for change in found["changes"]] == ["/risk_level", "/risk_score"]
        for one in found["directions"]:
            assert (one["verdict"], one["migrated"], one["kept"], one["promised"]) == (
                "incompatible",
                True,
                True,
                True,
            )
            assert set(one["witness"]["card_number"]) == {"*"}
        same = browser.json(f"/api/contracts/{SCORED}?older=2&newer=2")["comparison"]
        assert same is None
        browser.json(f"/api/contracts/{SCORED}?older=7&newer=9", status=404)


def test_builds_are_beside_the_versions_that_they_speak(office: Office) -> None:
    """One that is recorded as deployed, with what it reads and writes."""
    office.deployments.record(
        manifest("far.agent", accepts={SCORED: [2, 1]}, emits={SCORED: [3]}, build="b-7"), "ann"
    )
    with console(office.coordinator) as browser:
        told = browser.json(f"/api/contracts/{SCORED}")
        [one] = [speaker for speaker in told["speakers"] if speaker["agent"] == "far.agent"]
        assert (one["build"], one["state"], one["reads"], one["writes"]) == ("b-7", "recorded", [2, 1], [3])
        assert told["spoken"][:2] == [3, 2]
        assert "b-7" in browser.get(f"/contracts/{SCORED}")


def test_a_schema_is_a_file(office: Office) -> None:
    """What readers take, and what writers emit, as JSON Schema to be kept; a version that is not there is none."""
    with console(office.coordinator) as browser:
        answer = browser.client.get(f"/contracts/{SCORED}/2/schema.json")
        assert answer.headers["content-disposition"] == f'attachment; filename="{SCORED}.2.reads.schema.json"'
        reads, writes = answer.json(), browser.json(f"/api/contracts/{SCORED}/2/schema?side=writes")
        assert reads["properties"].keys() == writes["properties"].keys()
        assert writes["additionalProperties"] is False
        assert reads["$schema"].endswith("2020-12/schema")
        for path in (f"{SCORED}/9/schema", "no.such/1/schema"):
            browser.json(f"/api/contracts/{path}", status=404)
        for path in (f"{SCORED}/0/schema", f"{SCORED}/{10**12}/schema", f"{SCORED}/1/schema?side=both"):
            browser.json(f"/api/contracts/{path}", status=422)


def test_a_contract_that_is_not_there_is_not_found(office: Office) -> None:
    """The page says which there are; an odd name is answered the same."""
    with console(office.coordinator) as browser:
        assert "neither published nor loaded here" in browser.get("/contracts/no.such", status=404)
        for name in ("%00", "%ED%A0%80", "..%2F..", "x" * 201):
            assert browser.client.get(f"/api/contracts/{name}").status_code in (404, 422)
    with pytest.raises(UnknownContract, match="list them: coordinator contracts list"):
        office.coordinator.contracts.one("no.such")


def test_what_is_published_meanwhile_is_there(coordinator: Coordinator, tmp_path: Path) -> None:
    """A contract that is published while the console is open is on the page at the next look, and one that is broken is told of, not failed over."""
    folder = tmp_path / "published"
    coordinator.settings = settings = coordinator.settings.model_copy(
        update={"contracts_folder": str(folder)}
    )
    object.__setattr__(coordinator.engine.services, "settings", settings)
    with console(coordinator) as browser:
        before = {one["name"] for one in browser.json("/api/contracts?limit=500")["contracts"]}
        [source] = [one for one in _published().rglob("1.json") if one.parent.name == SCORED]
        copy = folder / "shop.copied" / "1.json"
        copy.parent.mkdir(parents=True)
        copy.write_text(source.read_text().replace(SCORED, "shop.copied"))
        told = browser.json("/api/contracts", status=409)
        assert "shop.copied" in told["cause"]
        value = json.loads(copy.read_text())
        del value["digest"], value["golden"]
        copy.write_text(json.dumps(value))
        after = {one["name"] for one in browser.json("/api/contracts?limit=500")["contracts"]}
        assert after - before == {"shop.copied"}


def _published() -> Path:
    import handoffs.contracts  # noqa: PLC0415 - where its files are

    return Path(handoffs.contracts.__file__).parent / "published"


class TestCanIDeploy:
    def test_for_code_that_is_loaded(self, office: Office) -> None:
        """The answer, what works, what is outstanding, and the command; an agent that is not loaded is told of."""
        with console(office.coordinator) as browser:
            page = browser.get("/contracts/can-i-deploy?agent=office.ship")
            assert "coordinator contracts can-i-deploy office.ship" in page
            told = browser.json("/api/contracts/can-i-deploy?agent=office.ship")
            assert (told["decision"]["agent"], told["decision"]["ok"]) == ("office.ship", True)
            assert "office.price" in told["agents"]
            browser.json("/api/contracts/can-i-deploy?agent=none", status=409)
            assert browser.json("/api/contracts/can-i-deploy")["decision"] is None

    def test_with_a_manifest(self, office: Office) -> None:
        """Pasted, or as a file: no, with a witness and what to do. Nothing is recorded."""
        office.deployments.record(manifest("shop.reader", accepts={"shop.scored": [1]}), "ann")
        new = manifest("shop.writer", emits={"shop.scored": [2]}).to_json()
        before = len(office.deployments.known().builds)
        with console(office.coordinator) as browser:
            page = browser.get("/contracts/can-i-deploy")
            told = browser.send(page, "/contracts/can-i-deploy", {"manifest": json.dumps(new)})
            assert "shop.writer build" in told
            assert "risk_score" in told
            assert "add the downcast from shop.scored/2 to shop.scored/1" in told
            found = browser.post("/api/contracts/can-i-deploy", new)
            assert found["ok"] is False
            assert found["problems"][0]["witness"].keys() == {"risk_score"}
            key = page.partition('name="form_key" value="')[2].partition('"')[0]
            answer = browser.client.post(
                "/contracts/can-i-deploy",
                data={"form_key": key},
                files={"file": ("m.json", json.dumps(new))},
                headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
            )
            assert answer.status_code == 200
            assert "shop.writer build" in answer.text
        assert len(office.deployments.known().builds) == before

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"agent": NaN}',
            b"\xff\xfe",
            b'{"a": "\\ud800"}',
            b"[" * 100_000,
            b"{}",
        ],
        ids=["nothing", "half", "list", "null", "nan", "octets", "surrogate", "deep", "empty"],
    )
    def test_what_is_no_manifest_is_refused(self, office: Office, body: bytes) -> None:
        """By what is wrong with it, and never with a fault."""
        with console(office.coordinator) as browser:
            answer = browser.client.post("/api/contracts/can-i-deploy", content=body)
            assert answer.status_code == 422
            assert answer.json()["cause"]

    def test_too_much_is_refused(self, office: Office) -> None:
        """More octets than a request may bring."""
        with console(office.coordinator) as browser:
            answer = browser.client.post("/api/contracts/can-i-deploy", content=b" " * 5_000_000)
            assert answer.status_code == 413

    def test_a_form_of_another_site_is_refused(self, office: Office) -> None:
        """Without the key that our page gave, nothing is answered."""
        with console(office.coordinator) as browser:
            sent: Any = {"manifest": "{}"}
            assert browser.client.post("/contracts/can-i-deploy", data=sent).status_code == 403


def test_the_build_that_is_recorded_is_listed(office: Office) -> None:
    """The Python API says the same as the page."""
    assert BUILD in {
        build.manifest.build
        for build in office.coordinator.contracts.builds()
        if build.manifest.agent == AGENT
    }
