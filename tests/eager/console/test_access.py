"""Who may what: tokens, sessions, roles, an issuer, and forms of other sites."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from handoffs.config.console import ConsoleSettings, Role, Token
from tests.eager.console.issuer import CLIENT, TestIssuer, issuing
from tests.eager.console.pages import Browser, console
from tests.eager.office import Office

WORDS = {role: f"{role}-{'x' * 30}" for role in Role}
GUARDED = ConsoleSettings(
    tokens=tuple(Token.read(f"{role}-person:{role}:{word}") for role, word in WORDS.items())
)


@pytest.fixture
def guarded(office: Office) -> Iterator[Browser]:
    """A browser on a console that asks who comes."""
    with console(office.coordinator, GUARDED) as browser:
        yield browser


def sign_in(browser: Browser, word: str, *, to: str = "/actions", status: int = 200) -> str:
    """Sign in by the form; gives the page that follows."""
    return browser.send(browser.get(f"/sign-in?to={to}"), "/sign-in", {"token": word}, status=status)


def test_nobody_gets_in_without_a_token(guarded: Browser) -> None:
    """A page leads to where one signs in, a program is told 401 with the header that says how, and nothing is shown."""
    page = guarded.get("/actions")
    assert "Sign in" in page
    response = guarded.client.get("/api/actions")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["remedy"]


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic YTpi", "", "bearer \u00e9" + "x" * 40])
def test_a_wrong_header_is_no_way_in(guarded: Browser, header: str) -> None:
    """Neither a token that nobody has, nor another scheme, nor nothing."""
    response = guarded.client.get("/api/actions", headers=[(b"authorization", header.encode("utf-8"))])
    assert response.status_code == 401


def test_a_program_gets_in_with_its_token(guarded: Browser) -> None:
    """With the header it sees what its role sees, and needs no cookie and no form."""
    response = guarded.client.get("/api/actions", headers={"authorization": f"Bearer {WORDS[Role.READER]}"})
    assert response.status_code == 200


def test_a_person_signs_in_and_out(guarded: Browser) -> None:
    """The page that was asked for follows, with who one is; after signing out there is nothing any more."""
    page = sign_in(guarded, WORDS[Role.OPERATOR])
    assert "<h1>Actions</h1>" in page
    assert "operator-person" in page
    guarded.send(page, "/sign-out")
    assert "Sign in" in guarded.get("/actions")


def test_a_wrong_token_says_so(guarded: Browser) -> None:
    """The form comes again with what is wrong, and does not show what was typed."""
    page = sign_in(guarded, "not-this-one", status=401)
    assert "no such token" in page
    assert "not-this-one" not in page


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", ""]
)
def test_signing_in_leads_to_our_own_pages_only(guarded: Browser, to: str) -> None:
    """Whatever the address says, one stays here."""
    response = guarded.client.get("/sign-in", headers={"accept": "text/html"})
    [key] = re.findall(r'name="form_key" value="([^"]+)"', response.text)
    answer = guarded.client.post(
        "/sign-in", data={"form_key": key, "token": WORDS[Role.ADMIN], "to": to}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/now")


def test_a_token_that_was_taken_away_ends_its_sessions(office: Office) -> None:
    """The cookie of who signed in with it is good for nothing once the settings have the token no more."""
    with console(office.coordinator, GUARDED) as browser:
        sign_in(browser, WORDS[Role.ADMIN])
        kept = dict(browser.client.cookies)
    with console(office.coordinator, ConsoleSettings(tokens=GUARDED.tokens[:1])) as later:
        later.client.cookies.update(kept)
        assert "Sign in" in later.get("/actions")


def test_a_form_of_another_site_does_nothing(guarded: Browser) -> None:
    """Neither without the key of our forms, nor with one and sent from elsewhere."""
    page = sign_in(guarded, WORDS[Role.ADMIN])
    [key] = set(re.findall(r'name="form_key" value="([^"]+)"', page))
    for fields, headers in (
        ({}, {}),
        ({"form_key": "x" * 43}, {}),
        ({"form_key": key}, {"sec-fetch-site": "cross-site"}),
        ({"form_key": key}, {"origin": "https://evil.example"}),
    ):
        answer = guarded.client.post("/sign-out", data=fields, headers={**headers, "accept": "text/html"})
        assert answer.status_code == 403, headers
    assert "<h1>Actions</h1>" in guarded.get("/actions")


def test_a_console_that_asks_nobody_is_for_this_machine_alone(office: Office) -> None:
    """Under a name that leads here from outside (DNS rebinding) it shows nothing."""
    with console(office.coordinator) as browser:
        assert browser.client.get("/api/actions", headers={"host": "evil.example"}).status_code == 400
        assert browser.client.get("/api/actions", headers={"host": "localhost:8470"}).status_code == 200


def test_pages_let_nothing_in_from_elsewhere(guarded: Browser) -> None:
    """Every answer has the headers that keep other sites out, and the session's cookie is not for scripts."""
    response = guarded.client.get("/sign-in", headers={"accept": "text/html"})
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-frame-options"] == "DENY"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


# People who sign in with an issuer


@pytest.fixture
def issuer() -> Iterator[TestIssuer]:
    """An issuer that listens."""
    with issuing() as made:
        yield made


@pytest.fixture
def at_issuer(office: Office, issuer: TestIssuer) -> Iterator[Browser]:
    """A browser on a console where people sign in with the issuer."""
    settings = ConsoleSettings(
        oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_client_secret=SecretStr("hush"),
        oidc_roles={"support": Role.READER, "platform": Role.ADMIN},
    )  # fmt: skip
    with console(office.coordinator, settings) as browser:
        yield browser


def through_issuer(browser: Browser, issuer: TestIssuer, *, status: int = 200) -> str:
    """Go to the issuer, and come back signed in; gives the page that follows."""
    led = browser.client.get("/sign-in/issuer?to=/actions", follow_redirects=False)
    assert led.status_code == 302, led.text
    return browser.get(
        issuer.authorised(led.headers["location"]).removeprefix("http://127.0.0.1"), status=status
    )


def test_a_person_comes_in_by_the_issuer(at_issuer: Browser, issuer: TestIssuer) -> None:
    """With the strongest role of their groups, under the name that the issuer has; the code is bound to the browser (PKCE)."""
    issuer.claims = {"email": "ann@example.org", "groups": ["support", "platform", "others"]}
    page = through_issuer(at_issuer, issuer)
    assert "<h1>Actions</h1>" in page
    assert "ann@example.org" in page
    assert "role: admin" in page
    assert issuer.asked[0]["code_challenge_method"] == ["S256"]


@pytest.mark.parametrize("groups", [[], ["others"], None, 7, [7]])
def test_who_is_in_no_group_is_not_let_in(at_issuer: Browser, issuer: TestIssuer, groups: object) -> None:
    """They are told so, by name, and have no session."""
    issuer.claims = {"email": "ann@example.org", "groups": groups}
    assert "ann@example.org is in no group" in through_issuer(at_issuer, issuer, status=403)
    assert "Sign in" in at_issuer.get("/actions")


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another"}, {"exp": 1}, {"iss": "http://evil.example"}, {"nonce": "another"}],
    ids=lambda claims: next(iter(claims)),
)
def test_what_the_issuer_did_not_say_for_us_is_refused(
    at_issuer: Browser, issuer: TestIssuer, claims: dict[str, object]
) -> None:
    """An ID token for another client, of another issuer, of another time, or of another sign-in."""
    issuer.claims = {"email": "ann@example.org", "groups": ["platform"], **claims}
    through_issuer(at_issuer, issuer, status=401)
    assert "Sign in" in at_issuer.get("/actions")


def test_what_another_key_has_signed_is_refused(at_issuer: Browser, issuer: TestIssuer) -> None:
    """The signature is checked with the keys of the issuer."""
    with issuing() as other:
        issuer.signs_with = other.key
        issuer.claims = {"email": "ann@example.org", "groups": ["platform"]}
        through_issuer(at_issuer, issuer, status=401)


def test_an_issuer_that_is_away_is_said_to_be(office: Office) -> None:
    """Whoever wants to sign in is told what cannot be reached, and how else to."""
    settings = ConsoleSettings(
        oidc_issuer="http://127.0.0.1:9",
        oidc_client_id=CLIENT,
        oidc_client_secret=SecretStr("hush"),
        oidc_roles={"a": Role.READER},
    )
    with console(office.coordinator, settings) as browser:
        assert "cannot be used" in browser.get("/sign-in/issuer", status=502)


def test_a_callback_that_nobody_asked_for_is_refused(at_issuer: Browser) -> None:
    """A code that somebody else got, brought by a link, signs nobody in."""
    at_issuer.get("/sign-in/callback?code=stolen&state=made-up", status=401)
    at_issuer.get("/sign-in/callback", status=401)
