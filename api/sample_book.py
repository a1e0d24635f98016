"""A generated book of three regions to try the product with: nobody's data, the same for a seed.

Its shape is that of real receivables: skewed, backdated, disputed, paid in part, returned.
"""

import heapq
from collections.abc import Iterator
from datetime import date
from random import Random

import msgspec

from api.sample import model_account
from api.sample.customers import LAST_DAY, SAMPLE_REGIONS, customers
from api.sample.diary import Diary
from api.sample.paying import Paying
from api.security.scope import Role
from ledger.commands import Request

DEFAULT_SEED = 1


class DemoLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in to the sample book by client ID; a customer has accounts.

    The passwords are no secret: whoever starts the demo sees them.
    """

    role: Role
    region: str
    identifier: str
    password: str
    account_numbers: tuple[str, ...] = ()


def sample_accounts(region_code: str, seed: int = DEFAULT_SEED) -> Iterator[Diary]:
    """Every account of a region's sample book, with its requests and its tally.

    Raises KeyError for a region that has no sample.
    """
    region = SAMPLE_REGIONS[region_code]
    place = f"{seed}/{region_code}"
    diaries: list[Diary] = [
        Paying(customer, region, place)
        for customer in customers(region_code, region, Random(place))
    ]
    if region_code == "us":
        diaries.insert(0, model_account.ModelAccount(place))
    for diary in diaries:
        diary.begin()
        diary.carry_out()
        yield diary


def sample_requests(region_code: str, seed: int, today: date) -> Iterator[Request]:
    """The requests that make a region's sample book, by the day they were entered.

    Each is as of its own day. `today` must not be before the last of them.
    """
    assert today >= LAST_DAY, f"the sample book ends on {LAST_DAY}"
    by_account = [diary.requests for diary in sample_accounts(region_code, seed)]
    return heapq.merge(*by_account, key=lambda request: request.today)


def demo_logins(seed: int = DEFAULT_SEED) -> tuple[DemoLogin, ...]:
    """Who can sign in to the sample book, the model account's customer first.

    In each region staff of every role, a customer, and one with several accounts.
    """
    found = [_customer("us", model_account.CLIENT_ID, (model_account.NUMBER,))]
    for code in SAMPLE_REGIONS:
        accounts_of = _accounts_by_client(code, seed)
        first = next(iter(accounts_of))
        several = max(accounts_of, key=lambda client: len(accounts_of[client]))
        found += [_customer(code, client, accounts_of[client]) for client in {first: 0, several: 0}]
        found += [_login(role, code, role) for role in ("support", "finance", "auditor", "admin")]
    return tuple(found)


def _accounts_by_client(code: str, seed: int) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for customer in customers(code, SAMPLE_REGIONS[code], Random(f"{seed}/{code}")):
        found[customer.client_id] = (*found.get(customer.client_id, ()), customer.account_number)
    return found


def _customer(region: str, client_id: str, account_numbers: tuple[str, ...]) -> DemoLogin:
    return _login("customer", region, client_id, account_numbers)


def _login(
    role: Role, region: str, identifier: str, account_numbers: tuple[str, ...] = ()
) -> DemoLogin:
    return DemoLogin(
        role=role,
        region=region,
        identifier=identifier,
        password=f"sample-{role}-{region}",
        account_numbers=account_numbers,
    )
