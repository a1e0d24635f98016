"""Who the sample customers are: invented names, skewed sizes, habits of paying that last.

The shapes (amounts, activity, days to settle, disputes, terms) are those of public samples of
receivables: most of the variance of paying lies between customers, not between their invoices.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Literal

from ledger.calendar import BillingCycle, DayOfMonth, EndOfMonth, Net, Terms
from ledger.parts import Method

FIRST_DAY = date(2019, 1, 1)
LAST_DAY = date(2020, 7, 16)
"""The last day on which anything happens in the sample book: the model account is due after it."""

OUTLIER = 10_666_667.58
"""One charge past 32 bits of cents, as real books hold."""

Kind = Literal["consumer", "business", "corporate"]


@dataclass(frozen=True)
class SampleRegion:
    """What differs between the regions' books."""

    currency: str
    accounts: int
    number_prefix: str
    unit: int
    """What an amount in dollars is multiplied with."""
    taxes: tuple[tuple[str, int], ...]
    """Names and rates, in hundredths of a percent."""
    countries: tuple[tuple[str, str, str], ...]
    """Country, form of company, language."""
    words: tuple[tuple[str, ...], tuple[str, ...]]


SAMPLE_REGIONS = {
    "us": SampleRegion(
        currency="USD",
        accounts=120,
        number_prefix="0100",
        unit=1,
        taxes=(("State sales tax", 625), ("Telecom excise", 300)),
        countries=(("USA", "Inc.", "en"), ("USA", "LLC", "en"), ("Canada", "Ltd.", "en")),
        words=(
            ("Imaginary", "Fictional", "Placeholder", "Pretend", "Sample", "Invented", "Mock",
             "Whimsical", "Storybook", "Daydream", "Nonesuch", "Makebelieve"),
            ("Teapots", "Umbrellas", "Kites", "Lanterns", "Marbles", "Compasses", "Puppets",
             "Telescopes", "Hammocks", "Yo-yos", "Accordions"),
        ),
    ),
    "emea": SampleRegion(
        currency="EUR",
        accounts=70,
        number_prefix="0200",
        unit=1,
        taxes=(("VAT", 2000),),
        countries=(
            ("Germany", "GmbH", "de"), ("France", "SARL", "fr"), ("Ireland", "Ltd", "en"),
            ("Spain", "S.L.", "es"), ("Netherlands", "B.V.", "nl"),
        ),
        words=(
            ("Beispiel", "Fantasie", "Exemple", "Imaginaire", "Ejemplo", "Voorbeeld", "Märchen",
             "Sagenhaft"),
            ("Gerätebau", "Crêperie", "Kartografie", "Fahrräder", "Linternas", "Ballons",
             "Brücken", "Molens", "Samplers"),
        ),
    ),
    "apac": SampleRegion(
        currency="JPY",
        accounts=50,
        number_prefix="0300",
        unit=110,
        taxes=(("Consumption tax", 1000),),
        countries=(("Japan", "K.K.", "ja"), ("Singapore", "Pte. Ltd.", "en")),
        words=(
            ("Mihon", "Kakuu", "Rei", "Tatoeba", "Sample Bay", "Paper Crane", "見本"),
            ("Shoten", "Denki", "Kikai", "Tsuushin", "Bunguten", "Lanterns", "商店"),
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """One account's owner and habits."""

    account_number: str
    client_id: str
    company: str
    country: str
    language: str
    kind: Kind
    hot: bool
    opened_on: date
    terms: Terms
    terms_days: int
    cycle: BillingCycle
    method: Method
    charges_a_month: float
    settles_after_days: float
    pays_badly: bool
    disputes: float
    pays_total: bool
    switches_on: date
    closes_on: date | None
    has_outlier: bool = False

    def amount(self, dice: Random) -> float:
        """A charge before tax, in dollars."""
        if self.kind == "consumer":
            return min(max(dice.gauss(59.9, 20.4), 5), 130)
        if self.kind == "business":
            return min(max(dice.lognormvariate(5.257, 1.2), 2), 15_296)
        return min(max(dice.lognormvariate(9.827, 1.09), 10), 408_094)

    def days_to_settle(self, dice: Random) -> int:
        """Days from an invoice to its payment, electronic bills a little sooner."""
        if self.pays_badly:
            return max(self.terms_days + round(min(dice.gauss(18.6, 27), 89)), 1)
        return max(round(dice.gauss(self.settles_after_days, 7.3)), 0)


def customers(code: str, region: SampleRegion, dice: Random) -> list[Customer]:
    """A region's customers but for the model account: the same ones for the same dice."""
    kinds: list[Kind] = dice.choices(
        ["consumer", "business", "corporate"], [55, 35, 10], k=region.accounts
    )
    found: list[Customer] = []
    for index in range(1, region.accounts):
        shares_client = found and not found[-1].hot and dice.random() < 0.15
        hot = code == "us" and index == 1
        number = f"{region.number_prefix}{index + 1:04d}"
        country, form, language = dice.choice(region.countries)
        company = f"{dice.choice(region.words[0])} {dice.choice(region.words[1])} {form}"
        found.append(
            Customer(
                account_number=number,
                client_id=found[-1].client_id if shares_client else f"C{number}",
                company=found[-1].company if shares_client else company,
                country=found[-1].country if shares_client else country,
                language=language,
                kind="business" if hot else "corporate" if index == 9 else kinds[index],
                hot=hot,
                has_outlier=code == "us" and index == 9,
                charges_a_month=_activity(index, region, dice, hot=hot),
                **_habits(dice, hot=hot),
            )
        )
    return found


def _activity(index: int, region: SampleRegion, dice: Random, *, hot: bool) -> float:
    """Charges a month: one account has about a quarter of all, the next ten another quarter."""
    busy = region.accounts // 24
    if hot:
        return 125.0
    if index <= busy + 1:
        return float(26 / index**0.7)
    return min(max(dice.lognormvariate(0.0, 0.5), 0.3), 3.0)


def _habits(dice: Random, *, hot: bool) -> dict[str, Any]:
    """The fields of a customer that its size does not decide."""
    days = dice.choices([30, 14, 7, 28, dice.randint(0, 65)], [64, 13, 7, 3, 13])[0]
    terms: Terms = Net(days)
    if dice.random() < 0.04:
        terms, days = EndOfMonth(15), 30
    elif dice.random() < 0.04:
        terms, days = DayOfMonth(15, cutoff=20), 30
    methods: list[Method] = ["card", "bank_transfer", "cash_check", "direct_debit"]
    late_start = 0 if hot or dice.random() < 0.85 else dice.randint(20, 280)
    closes = not hot and dice.random() < 0.03
    return {
        "opened_on": FIRST_DAY - timedelta(days=20) + timedelta(days=late_start),
        "terms": terms,
        "terms_days": days,
        "cycle": "month_end" if hot or dice.random() < 0.85 else dice.randint(1, 31),
        "method": dice.choices(methods, [50, 20, 20, 10])[0],
        "settles_after_days": min(max(dice.gauss(26.4, 10.1), 4), 50) - 30 + max(days, 4),
        "pays_badly": not hot and dice.random() < 0.08,
        "disputes": dice.betavariate(0.5, 1.7),
        "pays_total": dice.random() < 0.25,
        "switches_on": FIRST_DAY + timedelta(days=dice.randint(-15, 700)),
        "closes_on": FIRST_DAY + timedelta(days=dice.randint(300, 480)) if closes else None,
    }
