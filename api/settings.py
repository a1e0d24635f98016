"""What an operator may set: read once from the environment, checked, and named when wrong."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import msgspec

from api.mail import MailServer, mail_server
from api.regions import (
    DEFAULT_REGIONS,
    Contact,
    InvalidRegion,
    Region,
    read_regions,
    without_password,
    wrong_with_database_url,
)

__all__ = ["VARIABLES", "Contact", "InvalidSetting", "Region", "Settings", "load"]

VARIABLES = (
    "PORT",
    "BILLING_LEDGER_HOST",
    "BILLING_LEDGER_METRICS_PORT",
    "BILLING_LEDGER_DATA",
    "BILLING_LEDGER_POSTGRES",
    "BILLING_LEDGER_REGIONS",
    "BILLING_LEDGER_REGION",
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "BILLING_LEDGER_SMTP_URL",
    "BILLING_LEDGER_FONTS",
    "FORWARDED_ALLOW_IPS",
    "BILLING_LEDGER_RECONCILE_EVERY",
)
"""Every variable that is read as a setting; docs/settings.md describes each."""

DEFAULT_REGION = "us"
DEFAULT_PORT = "8000"
DEFAULT_METRICS_PORT = "9464"
"""Of OpenTelemetry's exporters in Prometheus' format."""
METRICS_OFF = "0"
DEFAULT_RECONCILE_EVERY = "3600"
RECONCILE_EVERY_S_MAX = 31 * 86_400
LOOPBACK = "127.0.0.1"


class InvalidSetting(Exception):
    """A setting cannot be used. The message names the variable and its value, never a password."""

    def __init__(self, variable: str, value: str, reason: str) -> None:
        super().__init__(f"{variable}={without_password(value)}: {reason}")


@dataclass(frozen=True)
class Settings:
    """The settings of one process."""

    port: int
    """TCP port to serve on."""
    host: str
    """Address to listen on."""
    data: Path
    """Directory of the embedded server."""
    postgres: Path | None
    """Prefix of this machine's PostgreSQL for the embedded server; None: the wheel's."""
    regions: tuple[Region, ...]
    """What is served, at least one."""
    mail: MailServer | None
    """What mails are sent by; None: they wait in the outbox."""
    metrics_port: int | None
    """TCP port on loopback for /metrics; None: nothing is counted."""
    metrics_port_is_set: bool
    """True when an operator relies on that very port."""
    proxies: tuple[str, ...]
    """Addresses and networks whose word counts for who is calling; `*` alone: anybody's."""
    reconcile_every_s: int
    """Seconds between two reconciliations of a lane while the service runs; 0: none."""
    fonts: Path | None
    """A folder of fonts for documents, for scripts that those that come along do not have."""

    def region(self, code: str) -> Region:
        """The region of that code; raises KeyError."""
        return {region.code: region for region in self.regions}[code]

    @property
    def needs_embedded_server(self) -> bool:
        """True when a region's database is in the embedded server."""
        return any(region.database_url is None for region in self.regions)


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `environment`; raises InvalidSetting."""
    # Set but empty, as compose files leave a variable, counts as not set.
    found = {name: environment[name] for name in VARIABLES if environment.get(name)}
    data, postgres = found.get("BILLING_LEDGER_DATA"), found.get("BILLING_LEDGER_POSTGRES")
    return Settings(
        port=_port("PORT", found.get("PORT", DEFAULT_PORT)),
        host=found.get("BILLING_LEDGER_HOST", LOOPBACK),
        data=Path(data) if data else _conventional_data_directory(environment),
        postgres=Path(postgres) if postgres else None,
        regions=_regions(found),
        mail=_mail_server(found.get("BILLING_LEDGER_SMTP_URL")),
        metrics_port=_metrics_port(found.get("BILLING_LEDGER_METRICS_PORT", DEFAULT_METRICS_PORT)),
        metrics_port_is_set="BILLING_LEDGER_METRICS_PORT" in found,
        proxies=_proxies(found.get("FORWARDED_ALLOW_IPS", "")),
        reconcile_every_s=_reconcile_every_s(
            found.get("BILLING_LEDGER_RECONCILE_EVERY", DEFAULT_RECONCILE_EVERY)
        ),
        fonts=_folder("BILLING_LEDGER_FONTS", found.get("BILLING_LEDGER_FONTS")),
    )


def _port(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise InvalidSetting(variable, text, "is not a port from 1 to 65535")
    return int(text)


def _mail_server(url: str | None) -> MailServer | None:
    try:
        return mail_server(url) if url else None
    except ValueError as fault:
        raise InvalidSetting("BILLING_LEDGER_SMTP_URL", url or "", str(fault)) from None


def _metrics_port(text: str) -> int | None:
    return None if text == METRICS_OFF else _port("BILLING_LEDGER_METRICS_PORT", text)


def _folder(variable: str, text: str | None) -> Path | None:
    if text is None or Path(text).is_dir():
        return Path(text) if text else None
    raise InvalidSetting(variable, text, "is not a folder")


def _reconcile_every_s(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= 7
    if not is_number or int(text) > RECONCILE_EVERY_S_MAX:
        reason = f"is not a number of seconds up to {RECONCILE_EVERY_S_MAX}"
        raise InvalidSetting("BILLING_LEDGER_RECONCILE_EVERY", text, reason)
    return int(text)


def _proxies(text: str) -> tuple[str, ...]:
    proxies = tuple(one.strip() for one in text.split(",")) if text else ()
    if proxies == ("*",):
        return proxies
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError:
            reason = f"{proxy!r} is neither an address nor a network, nor is it all of `*`"
            raise InvalidSetting("FORWARDED_ALLOW_IPS", text, reason) from None
    return proxies


def _conventional_data_directory(environment: Mapping[str, str]) -> Path:
    """Where this platform keeps a program's data."""
    if os.name == "nt":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "billing-ledger"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "billing-ledger"
    if os.geteuid() == 0:
        return Path("/var/lib/billing-ledger")
    xdg = Path(environment.get("XDG_DATA_HOME", ""))
    # The XDG Base Directory specification: a path that is not absolute is ignored.
    home = xdg if xdg.is_absolute() else Path.home() / ".local" / "share"
    return home / "billing-ledger"


def _regions(found: Mapping[str, str]) -> tuple[Region, ...]:
    if file := found.get("BILLING_LEDGER_REGIONS"):
        return _regions_of_file(file, found)
    if "DATABASE_URL" in found or "DATABASE_OWNER_URL" in found:
        return (_region_of_database_url(found),)
    if "BILLING_LEDGER_REGION" in found:
        return (_default_region(found["BILLING_LEDGER_REGION"]),)
    return DEFAULT_REGIONS


def _regions_of_file(file: str, found: Mapping[str, str]) -> tuple[Region, ...]:
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL", "BILLING_LEDGER_REGION"):
        if variable in found:
            reason = "cannot be set beside BILLING_LEDGER_REGIONS, whose file says it per region"
            raise InvalidSetting(variable, found[variable], reason)
    try:
        return read_regions(Path(file))
    except InvalidRegion as fault:
        raise InvalidSetting("BILLING_LEDGER_REGIONS", file, str(fault)) from fault


def _region_of_database_url(found: Mapping[str, str]) -> Region:
    region = _default_region(found.get("BILLING_LEDGER_REGION", DEFAULT_REGION))
    url, owner_url = found.get("DATABASE_URL"), found.get("DATABASE_OWNER_URL")
    for variable, value in (("DATABASE_URL", url), ("DATABASE_OWNER_URL", owner_url)):
        if value and (reason := wrong_with_database_url(value)):
            raise InvalidSetting(variable, value, reason)
    # `migrate` may be given the owner's address alone: the service's is not needed there.
    return msgspec.structs.replace(
        region, database_url=url or owner_url, database_owner_url=owner_url
    )


def _default_region(code: str) -> Region:
    for region in DEFAULT_REGIONS:
        if region.code == code:
            return region
    known = ", ".join(region.code for region in DEFAULT_REGIONS)
    reason = f"is none of {known}; name other regions in a file, BILLING_LEDGER_REGIONS"
    raise InvalidSetting("BILLING_LEDGER_REGION", code, reason)
