"""How sample charges come about and become invoices, and what is credited or disputed of them."""

from abc import abstractmethod
from datetime import date, timedelta

from api.sample.customers import FIRST_DAY, LAST_DAY, OUTLIER, Customer, SampleRegion
from api.sample.diary import BILLING, FINANCE, RATING, SUPPORT, Diary
from api.sample.tally import Bill, Line
from ledger import calendar
from ledger import commands as c
from ledger.money import exponent, rounded
from ledger.parts import Settings, SettingsChange, Tax

SERVICES = (
    ("voice", "Voice calls"),
    ("conferencing", "Audio conferencing"),
    ("conferencing", "Web conferencing"),
    ("data", "Data transfer"),
    ("subscription", "Monthly subscription"),
    ("support", "Premium support"),
    ("equipment", "Headset rental"),
)
MESSAGES = (
    "Your statement is ready.",
    "We have moved: please note our new postal address.",
    "Scheduled maintenance on Sunday from 02:00 to 04:00.",
    "Thank you for settling your account.",
)


class Billing(Diary):
    """Charges, invoices, credits, disputes and the rest of what the biller does."""

    def __init__(self, customer: Customer, region: SampleRegion, seed: str) -> None:
        super().__init__(customer.account_number, seed, LAST_DAY)
        self.customer = customer
        self.region = region
        self.closed = False
        self._issued_in: dict[str, int] = {}

    @abstractmethod
    def await_payment(self, bill: Bill) -> None:
        """Plans what the customer does about a bill."""

    def begin(self) -> None:
        """The account is opened, and everything that will come is planned."""
        who = self.customer
        self.day = who.opened_on
        self.ask(
            c.OpenAccount(
                client_id=who.client_id,
                company=who.company,
                country=who.country,
                currency=self.region.currency,
                billing_cycle=who.cycle,
                terms=who.terms,
                settings=Settings(payment_method=who.method, language=who.language),
                opened_on=who.opened_on,
            ),
            SUPPORT,
        )
        self._plan_settings_and_messages()
        first = max(FIRST_DAY, who.opened_on)
        last = who.closes_on or LAST_DAY
        self._plan_charges(first, last)
        self._plan_bills(first, last)
        if who.closes_on:
            self.plan(who.closes_on + timedelta(days=60), self._close)

    # Settings and messages

    def _plan_settings_and_messages(self) -> None:
        who = self.customer
        on = max(who.switches_on, who.opened_on) + timedelta(days=1)
        electronic = SettingsChange(delivery_channel="electronic")
        # Often entered a few days ahead.
        entered = on - timedelta(days=self.dice.randint(0, 6))
        self.plan(entered, lambda: self._change(electronic, max(on, self.day)))
        if self.happens(0.1):
            summary = SettingsChange(invoice_delivery="summary")
            self.plan(on + timedelta(days=90), lambda: self._change(summary, self.day))
        for _ in range(self.dice.randint(0, 3)):
            day = who.opened_on + timedelta(days=self.dice.randint(1, 560))
            self.plan(day, self._message)

    def _change(self, changes: SettingsChange, on: date) -> None:
        actor = f"customer:{self.customer.client_id}"
        self.ask(c.ChangeSettings(changes=changes, effective_on=on), actor)

    def _message(self) -> None:
        text = self.dice.choice(MESSAGES)
        message_id = self.new_id("M")
        self.ask(c.PostMessage(message_id=message_id, text=text, effective_on=self.day), SUPPORT)

    # Charges

    def _plan_charges(self, first: date, last: date) -> None:
        days = (last - first).days
        for _ in range(self._poisson(self.customer.charges_a_month * (days + 1) / 30.4)):
            on = first + timedelta(days=self.dice.randint(0, days))
            self._plan_charge(on, self.customer.amount(self.dice))
        if self.customer.has_outlier:
            self._plan_charge(first + timedelta(days=200), OUTLIER)

    def _plan_charge(self, on: date, dollars: float) -> None:
        """Most charges are entered on their day, many late, a few ahead of it."""
        days_late = 0.0
        if self.happens(0.047):
            days_late = -self.dice.randint(1, 6)
        elif self.happens(0.4):
            days_late = min(self.dice.lognormvariate(1.6, 1.1), 81)
        self.plan(on + timedelta(days=round(days_late)), lambda: self._charge(on, dollars))

    def _poisson(self, mean: float) -> int:
        """A count with that mean, by adding waiting times."""
        found, waited = 0, self.dice.expovariate(1)
        while waited < mean:
            waited += self.dice.expovariate(1)
            found += 1
        return found

    def minor(self, dollars: float) -> int:
        """An amount in the region's money, in minor units; at least one."""
        digits = exponent(self.region.currency)
        return max(round(dollars * float(self.region.unit * 10**digits)), 1)

    def _charge(self, on: date, dollars: float) -> None:
        if self.closed:
            return
        category, description = self.dice.choice(SERVICES)
        amount = self.minor(dollars)
        taxes = tuple(
            Tax(name=name, rate=f"{rate / 10_000:.4f}", amount_minor=rounded(amount * rate, 10_000))
            for name, rate in (self.region.taxes if self.happens(0.9) else ())
        )
        line = Line(self.new_id("C"), on, amount, taxes)
        minutes = str(self.dice.randint(1, 900)) if category == "voice" else None
        self.tally.lines.append(line)
        self.ask(
            c.PostCharge(
                charge_id=line.id,
                amount_minor=amount,
                taxes=taxes,
                description=description,
                category=category,
                effective_on=on,
                quantity=minutes,
            ),
            RATING,
        )
        if self.happens(0.006):
            self.plan_in(1, lambda: self._reverse(line))

    def _reverse(self, line: Line) -> None:
        if line not in self.tally.lines:
            return
        self.tally.lines.remove(line)
        on = max(self.day, line.effective_on)
        command = c.ReverseCharge(charge_id=line.id, reason="rated twice", effective_on=on)
        self.ask(command, RATING)

    # Invoices

    def _plan_bills(self, first: date, last: date) -> None:
        """At the end of each billing period, and one more for what comes late."""
        end = calendar.period_end(self.customer.cycle, first)
        while end <= LAST_DAY:
            self.plan(end, self._bill)
            if self.customer.hot:
                for days in (7, 14, 21):
                    self.plan(end + timedelta(days=days), self._bill)
            if end > last:
                break
            end = calendar.period_end(self.customer.cycle, end + timedelta(days=1))

    def _bill(self) -> None:
        if self.closed or not self.tally.unbilled_through(self.day):
            return
        self.ask(c.IssueInvoice(period_end=self.day, issued_on=self.day), BILLING)
        bill = self._billed()
        if self.happens(0.004) and bill.open_minor == bill.total_minor > 0:
            bill.adjusted = True
            self.plan_in(1, lambda: self._cancel(bill))
            return
        if bill.open_minor and self.happens(self.customer.disputes):
            bill.adjusted = True
            self.plan_in(self.dice.randint(1, 9), lambda: self._dispute(bill))
        elif self.happens(0.03):
            bill.adjusted = True
            self.plan_in(self.dice.randint(1, 20), lambda: self._credit_line(bill))
        elif self.happens(0.03):
            self.plan_in(self.dice.randint(1, 25), self._credit_account)
        elif self.happens(0.04):
            self.plan_in(self.dice.randint(1, 25), self._credit_next)
        self.await_payment(bill)

    def _billed(self) -> Bill:
        period = self.day.isoformat()[:7]
        count = self._issued_in[period] = self._issued_in.get(period, 0) + 1
        due_on = calendar.due_date(self.customer.terms, self.day)
        return self.tally.bill(f"{self.account_number}-{period}-{count}", self.day, due_on)

    def _cancel(self, bill: Bill) -> None:
        """The bill goes out again at once, corrected."""
        if self.closed or bill.open_minor != bill.total_minor:
            return
        reason = "wrong address"
        self.ask(c.CancelInvoice(number=bill.number, reason=reason, effective_on=self.day), BILLING)
        self.tally.cancel_bill(bill)
        self._bill()

    def _close(self) -> None:
        if self.tally.pending or len(self.tally.unbilled_through(self.day)) < len(self.tally.lines):
            self.plan_in(7, self._close)
            return
        final_bill = bool(self.tally.lines)
        reason = "moved to another provider"
        command = c.CloseAccount(reason=reason, final_bill=final_bill, effective_on=self.day)
        self.ask(command, SUPPORT)
        self.closed = True
        if final_bill:
            self.await_payment(self._billed())

    # Credits and disputes

    def _credit_line(self, bill: Bill) -> None:
        """A wrong line of a bill is credited with its tax."""
        line = self.dice.choice(bill.lines)
        if any(other.amount_minor < 0 for other in bill.lines):
            return
        credit_id = self.new_id("CR")
        self.ask(
            c.IssueCredit(
                credit_id=credit_id,
                amount_minor=line.amount_minor,
                taxes=line.taxes,
                applies_to="invoice",
                invoice=bill.number,
                reason=f"charge {line.id} was wrong",
                effective_on=self.day,
            ),
            FINANCE,
        )
        self.tally.credit(f"credit:{credit_id}", line.total_minor, bill)

    def _credit_account(self) -> None:
        credit_id, amount = self.new_id("CR"), self.minor(self.customer.amount(self.dice) / 10)
        self.ask(
            c.IssueCredit(
                credit_id=credit_id,
                amount_minor=amount,
                applies_to="account",
                reason="goodwill",
                effective_on=self.day,
            ),
            SUPPORT,
        )
        source = f"credit:{credit_id}"
        self.tally.credit(source, amount, None)
        if self.happens(0.1):
            self.plan_in(3, lambda: self._reverse_credit(credit_id))

    def _reverse_credit(self, credit_id: str) -> None:
        if self.tally.purses[f"credit:{credit_id}"].refunded_minor:
            return
        reason = "given twice"
        command = c.ReverseCredit(credit_id=credit_id, reason=reason, effective_on=self.day)
        self.ask(command, FINANCE)
        self.tally.cancel_credit(f"credit:{credit_id}")

    def _credit_next(self) -> None:
        if self.closed:
            return
        credit_id, amount = self.new_id("CR"), self.minor(self.customer.amount(self.dice) / 4)
        self.ask(
            c.IssueCredit(
                credit_id=credit_id,
                amount_minor=amount,
                applies_to="next_invoice",
                reason="volume discount",
                effective_on=self.day,
            ),
            BILLING,
        )
        self.tally.lines.append(Line(credit_id, self.day, -amount))

    def _dispute(self, bill: Bill) -> None:
        if not bill.undisputed_minor:
            return
        dispute_id, amount = self.new_id("D"), None
        flagged = bill.undisputed_minor
        if self.happens(0.2):
            amount = flagged = max(round(flagged * self.dice.uniform(0.1, 0.9)), 1)
        self.ask(
            c.OpenDispute(
                dispute_id=dispute_id,
                invoice=bill.number,
                amount_minor=amount,
                reason="not what was agreed",
                effective_on=self.day,
            ),
            SUPPORT,
        )
        self.tally.dispute(bill, flagged)
        days = self.dice.randint(5, 25)
        self.plan_in(days, lambda: self._resolve(bill, dispute_id, flagged))

    def _resolve(self, bill: Bill, dispute_id: str, flagged: int) -> None:
        upheld = self.happens(0.177)
        part = max(flagged // 2, 1) if upheld and self.happens(0.3) else None
        self.ask(
            c.ResolveDispute(
                dispute_id=dispute_id,
                outcome="upheld" if upheld else "rejected",
                amount_minor=part,
                effective_on=self.day,
            ),
            FINANCE,
        )
        if upheld:
            self.tally.credit(f"credit:{dispute_id}", part or flagged, bill)
        self.tally.resolve(bill, flagged)
