"""Settings: every one is documented, and a wrong one is named with its value."""

import re
from datetime import date
from pathlib import Path

import pytest

from api.settings import VARIABLES, InvalidSetting, load
from ledger.dunning_policy import Interest, Percent

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_variable_is_documented_and_no_other() -> None:
    """The table of docs/settings.md lists exactly the variables that are read."""
    documented = re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(VARIABLES) == sorted(documented)


def test_the_documented_regions_file_is_read(tmp_path: Path) -> None:
    """The regions file shown in docs/settings.md is accepted as it stands."""
    example, _ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "regions.toml"
    file.write_text(example)
    (region,) = load({"BILLING_LEDGER_REGIONS": str(file)}).regions
    assert ("us", "USD", "America/New_York") == (region.code, region.currency, region.zone)
    assert region.contact_on(date(2026, 1, 1)).email == "billing@example.com"
    assert region.database_url == ("postgresql://billing_service:secret@db.example.com/ledger_us")
    policy = region.policy
    assert policy is not None
    assert (date(2026, 1, 1), "USD", 2_500) == (
        policy.since,
        policy.currency,
        policy.return_fee_minor,
    )
    assert [3, 14, 30] == [step.after_days for step in policy.steps]
    assert policy.interest == Interest(annual=Percent(8_000_000), minimum_minor=100, every="month")


def test_the_documented_contacts_count_from_their_day(tmp_path: Path) -> None:
    """Of several contacts each counts from its day to the one before the next's."""
    _, example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "regions.toml"
    file.write_text(REGION + example)
    (region,) = load({"BILLING_LEDGER_REGIONS": str(file)}).regions
    first, second = "1 Example Street, New York", "200 Example Avenue, Boston"
    days = (date.min, date(2027, 2, 28), date(2027, 3, 1), date.max)
    assert [first, first, second, second] == [region.contact_on(day).address for day in days]


def test_without_settings_three_regions_are_embedded() -> None:
    """With nothing set, us, emea and apac each have a database of their own in the server within."""
    settings = load({})
    assert [
        ("us", "USD", "America/New_York", "ledger_us", None),
        ("emea", "EUR", "Europe/Berlin", "ledger_emea", None),
        ("apac", "JPY", "Asia/Tokyo", "ledger_apac", None),
    ] == [(r.code, r.currency, r.zone, r.database, r.database_url) for r in settings.regions]
    assert settings.needs_embedded_server
    assert (8000, "127.0.0.1") == (settings.port, settings.host)


def test_a_database_url_is_one_region() -> None:
    """DATABASE_URL serves exactly one region: us, or the one named; the embedded server is not needed."""
    url = "postgresql://service@db/ledger"
    assert ["us"] == [region.code for region in load({"DATABASE_URL": url}).regions]
    settings = load({"DATABASE_URL": url, "BILLING_LEDGER_REGION": "apac", "PORT": ""})
    assert [("apac", url)] == [(r.code, r.database_url) for r in settings.regions]
    assert not settings.needs_embedded_server


def test_reconciling_is_every_so_many_seconds_or_never() -> None:
    """Hourly unless set; 0 is never, and what is no number of seconds is named."""
    assert 3_600 == load({}).reconcile_every_s
    assert [0, 60] == [
        load({"BILLING_LEDGER_RECONCILE_EVERY": text}).reconcile_every_s for text in ("0", "60")
    ]
    for text in ("-1", "1h", "1.5", "99999999", "\u0661"):
        with pytest.raises(
            InvalidSetting, match=r"BILLING_LEDGER_RECONCILE_EVERY=.* is not a numb"
        ):
            load({"BILLING_LEDGER_RECONCILE_EVERY": text})


def test_proxies_are_addresses_and_networks_or_anybody() -> None:
    """Nobody is trusted unless named; an asterisk alone is everybody."""
    assert () == load({}).proxies
    assert () == load({"FORWARDED_ALLOW_IPS": ""}).proxies
    named = {"FORWARDED_ALLOW_IPS": "127.0.0.1, ::1,10.0.0.0/8"}
    assert ("127.0.0.1", "::1", "10.0.0.0/8") == load(named).proxies
    assert ("*",) == load({"FORWARDED_ALLOW_IPS": "*"}).proxies


REGION = """
[[region]]
code = "us"
name = "United States"
currency = "USD"
zone = "America/New_York"
"""


def contacts(*since: str) -> str:
    """One contact after another, each from its day on if there is one."""
    return "".join(f"[[region.contact]]\n{f'from = {day}' if day else ''}\n" for day in since)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PORT": "http"}, "PORT=http"),
        ({"PORT": "0"}, "PORT=0"),
        ({"PORT": "٨٠"}, "PORT=٨٠"),
        ({"BILLING_LEDGER_REGION": "mars"}, "BILLING_LEDGER_REGION=mars"),
        ({"DATABASE_URL": "mysql://db/x"}, "DATABASE_URL=mysql://db/x"),
        ({"DATABASE_URL": "postgresql://db"}, "DATABASE_URL=postgresql://db"),
        (
            {"DATABASE_URL": "postgresql://a@b/c", "BILLING_LEDGER_REGIONS": "r.toml"},
            "DATABASE_URL=postgresql://a@b/c",
        ),
        ({"BILLING_LEDGER_SMTP_URL": "mail"}, "BILLING_LEDGER_SMTP_URL=mail"),
        ({"BILLING_LEDGER_SMTP_URL": "smtp://m"}, "BILLING_LEDGER_SMTP_URL=smtp://m"),
        (
            {"BILLING_LEDGER_SMTP_URL": "http://m?from=a@b"},
            "BILLING_LEDGER_SMTP_URL=http://m?from=a@b",
        ),
        (
            {"BILLING_LEDGER_SMTP_URL": "smtp://m:x?from=a"},
            "BILLING_LEDGER_SMTP_URL=smtp://m:x?from=a",
        ),
        (
            {"BILLING_LEDGER_SMTP_URL": "smtp://m?from=a"},
            "BILLING_LEDGER_SMTP_URL=smtp://m?from=a",
        ),
        ({"FORWARDED_ALLOW_IPS": "proxy"}, "FORWARDED_ALLOW_IPS=proxy"),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.1,*"}, "FORWARDED_ALLOW_IPS=10.0.0.1,*"),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.1/8"}, "FORWARDED_ALLOW_IPS=10.0.0.1/8"),
        ({"BILLING_LEDGER_FONTS": "/nowhere"}, "BILLING_LEDGER_FONTS=/nowhere"),
        ({"BILLING_LEDGER_REGIONS": "/nowhere.toml"}, "BILLING_LEDGER_REGIONS=/nowhere.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(environment: dict[str, str], named: str) -> None:
    """The message begins with the variable and the value that is wrong."""
    with pytest.raises(InvalidSetting) as refused:
        load(environment)
    assert str(refused.value).startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("", "required field `region`"),
        ("region = 1", "Expected `array`"),
        ("[[region", "is not TOML"),
        (REGION + REGION, "names region 'us' twice"),
        (REGION.replace("USD", "USX"), "currency 'USX'"),
        (REGION.replace("America/New_York", "Mars/Olympus"), "zone 'Mars/Olympus'"),
        (REGION.replace("America/New_York", "../../etc"), "zone '../../etc'"),
        (REGION.replace('"us"', '"US"'), "region 'US'"),
        (REGION + 'colour = "red"', "colour"),
        (REGION + "contact = []", "contact: the first has no from"),
        (REGION + contacts("2026-01-01"), "contact: the first has no from"),
        (REGION + contacts("", ""), "contact: each but the first has a from"),
        (REGION + contacts("", "2026-02-01", "2026-01-01"), "2026-02-01, 2026-01-01 do not ascend"),
        (REGION + contacts("", "2026-02-01", "2026-02-01"), "2026-02-01, 2026-02-01 do not ascend"),
        (REGION + contacts("", '"soon"'), "contact[1].from"),
        (REGION + "[region.contact]\nfrom = 2026-01-01", "contact"),
        (REGION + 'database_url = "x"', "'x' is not of the form"),
        (REGION + 'database_owner_url = "postgresql://a/b"', "without database_url"),
    ],
)
def test_a_wrong_regions_file_says_what_is_wrong(tmp_path: Path, file: str, reason: str) -> None:
    """Each fault of a regions file is told with the file's path."""
    path = tmp_path / "regions.toml"
    path.write_text(file)
    with pytest.raises(InvalidSetting) as refused:
        load({"BILLING_LEDGER_REGIONS": str(path)})
    assert str(refused.value).startswith(f"BILLING_LEDGER_REGIONS={path}: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("", "required field `since`"),
        ("since = 2026-01-01", "neither steps, nor interest, nor return_fee"),
        ("since = 2026-13-01", "is not TOML"),
        ('since = "soon"\nreturn_fee = "1"', "dunning.since"),
        ('return_fee = "1.005"', "'1.005' is not an amount of USD"),
        ('return_fee = "0.00"', "return_fee '0.00' is nothing"),
        ('return_fee = "-1"', "'-1' is not an amount"),
        ("return_fee = 25", "dunning.return_fee"),
        ('return_fee = "1"\ncolour = "red"', "colour"),
        ("steps = [{after_days = 3}]", "after 3 days has neither reminder nor fee"),
        ("steps = [{reminder = true}]", "after_days"),
        ("steps = [{after_days = -1, reminder = true}]", "after_days -1"),
        ("steps = [{after_days = 367, reminder = true}]", "after_days 367"),
        (
            "steps = [{after_days = 7, reminder = true}, {after_days = 7, reminder = true}]",
            "[7, 7] do not ascend",
        ),
        (
            "steps = [{after_days = 9, reminder = true}, {after_days = 7, reminder = true}]",
            "[9, 7] do not ascend",
        ),
        (
            f"steps = [{', '.join(f'{{after_days = {n}, reminder = true}}' for n in range(13))}]",
            "13 steps, more than 12",
        ),
        ("steps = [{after_days = 7, fee = {}}]", "either flat or percent"),
        (
            'steps = [{after_days = 7, fee = {flat = "1", percent = "1"}}]',
            "either flat or percent",
        ),
        ('steps = [{after_days = 7, fee = {flat = "1", minimum = "1"}}]', "has no minimum"),
        ('steps = [{after_days = 7, fee = {percent = "1.0000001"}}]', "percent '1.0000001'"),
        ('steps = [{after_days = 7, fee = {percent = "1e1"}}]', "percent '1e1'"),
        ('steps = [{after_days = 7, fee = {percent = "٣"}}]', "percent '٣'"),
        ('interest = {annual_percent = "0"}', "annual_percent '0' is nothing"),
        ('interest = {annual_percent = "1000"}', "annual_percent '1000'"),
        ("interest = {after_days = 3}", "annual_percent"),
        ('interest = {annual_percent = "1", every = "week"}', "dunning.interest.every"),
    ],
)
def test_a_wrong_dunning_policy_says_what_is_wrong(
    tmp_path: Path, policy: str, reason: str
) -> None:
    """A policy that cannot be meant stops the start: nobody is charged by a mistake of writing."""
    since = "" if policy.startswith("since") or not policy else "since = 2026-01-01\n"
    path = tmp_path / "regions.toml"
    path.write_text(f"{REGION}[region.dunning]\n{since}{policy}\n")
    with pytest.raises(InvalidSetting) as refused:
        load({"BILLING_LEDGER_REGIONS": str(path)})
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "url", ["mysql://role:hunter2@db/x", "postgresql://role:hunter2@[db/x", "x://:hunter2@db"]
)
def test_no_password_in_a_message(url: str) -> None:
    """A refused address is shown without its password."""
    with pytest.raises(InvalidSetting) as refused:
        load({"DATABASE_URL": url})
    assert "hunter2" not in str(refused.value)


def test_a_mail_server_is_read_from_its_url() -> None:
    """Ports by default, credentials percent-decoded, and the documented example as it stands."""
    [example] = re.findall(r"`(smtp://[^`]*)`", PAGE)
    documented = load({"BILLING_LEDGER_SMTP_URL": example}).mail
    assert documented is not None
    assert ("mail.example.com", 587, "billing@example.com", "user", "password", False) == (
        documented.host,
        documented.port,
        documented.sender,
        documented.user,
        documented.password,
        documented.is_tls,
    )
    odd = load({"BILLING_LEDGER_SMTP_URL": "smtps://a%40b:p%3Aq@[::1]?from=a%2Bb@c.example"}).mail
    assert odd is not None
    assert ("::1", 465, "a+b@c.example", "a@b", "p:q", True) == (
        odd.host,
        odd.port,
        odd.sender,
        odd.user,
        odd.password,
        odd.is_tls,
    )
    assert load({}).mail is None


def test_no_password_of_a_mail_server_in_a_message() -> None:
    """A refused mail server is shown without its password."""
    with pytest.raises(InvalidSetting) as refused:
        load({"BILLING_LEDGER_SMTP_URL": "smtp://user:hunter2@mail.example.com"})
    assert "hunter2" not in str(refused.value)
