"""If-Match: a change of settings is based on one of the versions that it names (RFC 9110, 13.1.1)."""

import uuid

import pytest

from tests.api.books import TOKENS
from tests.api.serving import Answer, Service

US = TOKENS["us"]


@pytest.fixture
def account(service: Service) -> str:
    """The path of an account that was just opened."""
    number = f"IF-{uuid.uuid4().hex[:8]}"
    body = {
        "account_number": number,
        "company": "Example",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
    }
    opened = service.send("POST", "/v1/accounts", US, body, key="open")
    assert 201 == opened.status
    path = opened.headers["location"]
    position = {"Ledger-Position": opened.headers["ledger-position"]}
    assert 200 == service.ask(path, US, headers=position).status
    return path


def patched(service: Service, account: str, if_match: str) -> Answer:
    """The answer to a change of settings."""
    headers = {
        "Idempotency-Key": uuid.uuid4().hex,
        "Content-Type": "application/json",
        "If-Match": if_match,
    }
    return service.ask(
        f"{account}/settings", US, method="PATCH", headers=headers, body=b'{"language": "de"}'
    )


@pytest.mark.parametrize(
    "listed",
    [
        "{tag}",
        " {tag}\t",
        '"9.x.1", {tag}',
        '{tag},"9"',
        ', ,"x" ,\t{tag}, ',
        'W/"1", {tag}',
        '"a,b",{tag}',
        "*",
    ],
)
def test_a_list_that_names_the_settings_is_a_match(
    service: Service, account: str, listed: str
) -> None:
    """Wherever in it the ETag stands, whatever else is in it, and with blanks or empty places."""
    tag = service.ask(f"{account}/settings", US).headers["etag"]
    answer = patched(service, account, listed.format(tag=tag))
    assert 200 == answer.status, answer


@pytest.mark.parametrize(
    "listed",
    ['"2"', '"2", "3"', 'W/"1"', "1", '"1', '"1" "1"', '"1"; "2"', '"a, "1"', "*, *", ",", "W/"],
)
def test_what_names_no_version_of_the_settings_is_no_match(
    service: Service, account: str, listed: str
) -> None:
    """Other versions, weak tags, and what is no list of tags: nothing has changed."""
    answer = patched(service, account, listed)
    assert (412, "version_mismatch") == (answer.status, answer.code)
    assert 200 == patched(service, account, '"1"').status
