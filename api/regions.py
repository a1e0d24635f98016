"""The regions of a deployment: each its own currency, calendar, contact and database."""

import re
import tomllib
import zoneinfo
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ledger.dunning_policy import InvalidPolicy, Policy, PolicyTerms, policy_of
from ledger.errors import AmountOverflow, InvalidAmount, UnknownCurrency
from ledger.money import exponent

_CODE = re.compile(r"[a-z][a-z0-9]{0,15}")


class InvalidRegion(Exception):
    """A region or regions file cannot be used; the message says why, without passwords."""


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The biller as customers see it under help and contact us, and at the head of documents."""

    company: str = "Billing department"
    email: str = ""
    phone: str = ""
    address: str = ""


class DatedContact(Contact, frozen=True, forbid_unknown_fields=True):
    """The biller from a day on, until the next one's; as written under [[region.contact]]."""

    since: date | None = msgspec.field(default=None, name="from")
    """None: from the beginning, which the first of a region is."""

    @property
    def contact(self) -> Contact:
        return Contact(self.company, self.email, self.phone, self.address)


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One region, as written under [[region]] in a regions file."""

    code: str
    """1 to 16 of a-z and 0-9, a letter first; part of tokens and account ids: never changed."""
    name: str
    currency: str
    """ISO 4217: the journal's currency, and that of accounts opened without one."""
    zone: str
    """IANA zone in which the region's business days begin and end."""
    contact: Contact | tuple[DatedContact, ...] = Contact()
    """As written: of all days, or one after another, each from its day on."""
    dunning: PolicyTerms | None = None
    """What late payment is charged with, and when customers are reminded; None: never."""
    portal_url: str = ""
    """Where customers reach the portal; empty: where this process serves."""
    database_url: str | None = None
    """The database as the service's role; None: `database` of the embedded server."""
    database_owner_url: str | None = None
    """The same database as its owner, for migrations; None where this process never migrates."""

    @property
    def database(self) -> str:
        """The name of the region's database in the embedded server."""
        return f"ledger_{self.code}"

    def today(self) -> date:
        """The region's business day, by this machine's clock."""
        return datetime.now(zoneinfo.ZoneInfo(self.zone)).date()

    def contact_on(self, day: date) -> Contact:
        """The biller's contact on a day: what a document of that day is headed with."""
        if isinstance(self.contact, Contact):
            return self.contact
        begun = [one for one in self.contact if one.since is None or one.since <= day]
        return begun[-1].contact

    @property
    def policy(self) -> Policy | None:
        """The dunning policy; raises InvalidPolicy, InvalidAmount and AmountOverflow."""
        return policy_of(self.dunning, self.currency) if self.dunning else None


class _RegionsFile(msgspec.Struct, forbid_unknown_fields=True):
    region: list[Region]


DEFAULT_REGIONS = (
    Region(code="us", name="United States", currency="USD", zone="America/New_York"),
    Region(
        code="emea", name="Europe, Middle East and Africa", currency="EUR", zone="Europe/Berlin"
    ),
    Region(code="apac", name="Asia Pacific", currency="JPY", zone="Asia/Tokyo"),
)


def read_regions(path: Path) -> tuple[Region, ...]:
    """The regions of a regions file, in its order, at least one; raises InvalidRegion."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        regions = msgspec.convert(table, _RegionsFile).region
    except OSError as fault:
        raise InvalidRegion(f"cannot be read: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidRegion(f"is not TOML: {fault}") from fault
    except msgspec.ValidationError as fault:
        raise InvalidRegion(str(fault)) from fault
    if not regions:
        raise InvalidRegion("names no region")
    seen: set[str] = set()
    for region in regions:
        if region.code in seen:
            raise InvalidRegion(f"names region {region.code!r} twice")
        seen.add(region.code)
        if reason := _wrong_with(region):
            raise InvalidRegion(f"region {region.code!r}: {reason}")
    return tuple(regions)


def wrong_with_database_url(url: str) -> str | None:
    """Why this is no address of a PostgreSQL database, or None."""
    try:
        scheme, path = urlsplit(url).scheme, urlsplit(url).path
    except ValueError:
        scheme, path = "", ""
    if scheme in ("postgresql", "postgres") and path.strip("/"):
        return None
    return "is not of the form postgresql://role:password@host:port/database"


def without_password(text: str) -> str:
    """A setting's value as it may be shown or logged."""
    # Not by parsing: what does not parse may hold a password all the same.
    return re.sub(r"//([^/:@]*):[^/]*@", r"//\1:***@", text)


def _wrong_with(region: Region) -> str | None:
    """What is wrong with a region, or None."""
    if not _CODE.fullmatch(region.code):
        return "the code is not 1 to 16 of a-z and 0-9, a letter first"
    try:
        exponent(region.currency)
    except UnknownCurrency:
        return f"currency {region.currency!r} is not an ISO 4217 code"
    try:
        zoneinfo.ZoneInfo(region.zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"zone {region.zone!r} is not an IANA zone"
    if reason := _wrong_with_contact(region.contact):
        return f"contact: {reason}"
    try:
        _ = region.policy
    except (InvalidPolicy, InvalidAmount, AmountOverflow) as fault:
        return f"dunning: {fault}"
    if region.database_owner_url and not region.database_url:
        return "database_owner_url without database_url"
    for url in (region.database_url, region.database_owner_url):
        if url is not None and (reason := wrong_with_database_url(url)):
            return f"{without_password(url)!r} {reason}"
    return None


def _wrong_with_contact(contact: Contact | tuple[DatedContact, ...]) -> str | None:
    """Every day has one contact: the first is from the beginning, the others from ascending days."""
    if isinstance(contact, Contact):
        return None
    if not contact or contact[0].since is not None:
        return "the first has no from: it is the one of all days before the second's"
    days = [one.since for one in contact[1:] if one.since is not None]
    if len(days) < len(contact) - 1:
        return "each but the first has a from, the day it begins to count"
    if any(later <= earlier for earlier, later in pairwise(days)):
        return f"from {', '.join(map(str, days))} do not ascend"
    return None
