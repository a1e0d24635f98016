"""The account of the model portal: a conferencing customer that owes 61.11 USD, due on 2020-07-30."""

from datetime import date, timedelta

from api.sample.customers import LAST_DAY
from api.sample.diary import BILLING, CASHIER, FINANCE, RATING, SUPPORT, Diary
from api.sample.tally import Bill, Line
from ledger import commands as c
from ledger.calendar import Net, due_date, month_end
from ledger.money import minor_units, rounded
from ledger.parts import Outcome, Settings, SettingsChange, Tax

NUMBER = "01000001"
CLIENT_ID = "EXAMPLE-CONFERENCING"
COMPANY = "Example Conferencing Inc."
OPENED_ON = date(2018, 12, 12)
LAST_BILL_ON = date(2020, 6, 30)
LATE_ON = date(2020, 2, 27)
TERMS = Net(30)
AUDIO = "Audio conferencing"
WEB = "Web conferencing"

_TAXES = (("Federal universal service", 600), ("State sales tax", 342))
_LAST_BILL = (
    ("45.90", AUDIO, "459", "0.10"),
    ("9.95", WEB, "1", "9.95"),
)


class ModelAccount(Diary):
    """Eighteen monthly bills, all but the last of them paid by cheque."""

    def __init__(self, seed: str) -> None:
        super().__init__(NUMBER, seed, LAST_DAY)

    def begin(self) -> None:
        """The account is opened, and everything that will come is planned."""
        self.day = OPENED_ON
        self.ask(
            c.OpenAccount(
                client_id=CLIENT_ID,
                company=COMPANY,
                country="USA",
                currency="USD",
                terms=TERMS,
                settings=Settings(invoice_delivery="full_detail", payment_method="cash_check"),
                opened_on=OPENED_ON,
            ),
            SUPPORT,
        )
        end = date(2019, 1, 31)
        while end < LAST_BILL_ON:
            self._plan_month(end)
            end = month_end(end + timedelta(days=1))
        for charged in _LAST_BILL:
            self._plan_charge(LAST_BILL_ON - timedelta(days=8), *charged)
        self.plan(LAST_BILL_ON, self._bill)
        self._plan_charge(date(2020, 3, 5), "4.10", AUDIO, "41", "0.10", LATE_ON)
        self.plan(date(2020, 1, 14), self._credit_next_bill)
        self.plan(date(2019, 9, 3), self._go_electronic)
        self.plan(date(2020, 6, 30), lambda: self._message("Your June statement is ready."))
        self.plan(date(2020, 7, 6), lambda: self._message("Web conferencing now records calls."))

    def _plan_month(self, end: date) -> None:
        """Three to five conferences a month, at ten cents a minute, and a monthly fee."""
        for _ in range(self.dice.randint(3, 5)):
            minutes = self.dice.randint(35, 240)
            day = end - timedelta(days=self.dice.randint(0, 27))
            amount = f"{minutes // 10}.{minutes % 10}0"
            self._plan_charge(day, amount, AUDIO, str(minutes), "0.10")
        self._plan_charge(end, "9.95", WEB, "1", "9.95")
        self.plan(end, self._bill)

    def _plan_charge(
        self,
        day: date,
        amount: str,
        what: str,
        quantity: str,
        price: str,
        on: date | None = None,
    ) -> None:
        self.plan(day, lambda: self._charge(amount, what, quantity, price, on or day))

    def _charge(self, amount: str, what: str, quantity: str, price: str, on: date) -> None:
        minor = minor_units(amount, "USD")
        taxes = tuple(
            Tax(name=name, rate=f"{rate / 10_000:.4f}", amount_minor=rounded(minor * rate, 10_000))
            for name, rate in _TAXES
        )
        line = Line(self.new_id("C"), on, minor, taxes)
        self.tally.lines.append(line)
        self.ask(
            c.PostCharge(
                charge_id=line.id,
                amount_minor=minor,
                taxes=taxes,
                description=what,
                category="conferencing",
                effective_on=line.effective_on,
                quantity=quantity,
                unit_price=price,
            ),
            RATING,
        )

    def _bill(self) -> None:
        self.ask(c.IssueInvoice(period_end=self.day, issued_on=self.day), BILLING)
        number = f"{NUMBER}-{self.day.isoformat()[:7]}-1"
        bill = self.tally.bill(number, self.day, due_date(TERMS, self.day))
        pay_on = self.day + timedelta(days=self.dice.randint(20, 27))
        match number[len(NUMBER) + 1 :]:
            case "2020-06-1":
                return
            case "2019-03-1":
                self.plan(pay_on - timedelta(days=9), lambda: self._pay(bill, bill.open_minor // 2))
            case "2019-06-1":
                self.plan(pay_on + timedelta(days=6), lambda: self._return_cheque("P-7"))
            case "2019-10-1":
                self.plan_in(5, lambda: self._dispute(bill, "D-1", "rejected"))
            case "2020-02-1":
                self.plan_in(5, lambda: self._dispute(bill, "D-2", "upheld"))
        self.plan(pay_on, lambda: self._pay(bill))

    def _pay(self, bill: Bill, amount_minor: int | None = None) -> None:
        payment_id = self.new_id("P")
        self.ask(
            c.SubmitPayment(
                payment_id=payment_id,
                pay="amount" if amount_minor else "invoice",
                amount_minor=amount_minor,
                invoice=bill.number,
                method="cash_check",
                reference=f"cheque {4100 + len(self.requests)}",
                effective_on=self.day,
                status="processed",
            ),
            CASHIER,
        )
        self.tally.receive(f"payment:{payment_id}", amount_minor or bill.open_minor, bill)

    def _return_cheque(self, payment_id: str) -> None:
        reason = "insufficient funds"
        command = c.ReturnPayment(payment_id=payment_id, reason=reason, effective_on=self.day)
        self.ask(command, CASHIER)
        self.tally.give_back(f"payment:{payment_id}")
        self.plan_in(5, lambda: self._reinstate(payment_id))

    def _reinstate(self, payment_id: str) -> None:
        command = c.ReinstatePayment(payment_id=payment_id, effective_on=self.day)
        self.ask(command, CASHIER)
        self.tally.reinstate(f"payment:{payment_id}")

    def _dispute(self, bill: Bill, dispute_id: str, outcome: Outcome) -> None:
        amount = minor_units("4.20", "USD")
        self.ask(
            c.OpenDispute(
                dispute_id=dispute_id,
                invoice=bill.number,
                amount_minor=amount,
                reason="we were cut off after 30 minutes",
                effective_on=self.day,
            ),
            SUPPORT,
        )
        self.tally.dispute(bill, amount)
        self.plan_in(9, lambda: self._resolve(bill, dispute_id, outcome, amount))

    def _resolve(self, bill: Bill, dispute_id: str, outcome: Outcome, amount: int) -> None:
        command = c.ResolveDispute(dispute_id=dispute_id, outcome=outcome, effective_on=self.day)
        self.ask(command, FINANCE)
        if outcome == "upheld":
            self.tally.credit(f"credit:{dispute_id}", amount, bill)
        self.tally.resolve(bill, amount)

    def _credit_next_bill(self) -> None:
        credit_id, amount = self.new_id("CR"), minor_units("5.00", "USD")
        self.ask(
            c.IssueCredit(
                credit_id=credit_id,
                amount_minor=amount,
                applies_to="next_invoice",
                reason="a year with us: thank you",
                effective_on=self.day,
            ),
            SUPPORT,
        )
        self.tally.lines.append(Line(credit_id, self.day, -amount))

    def _go_electronic(self) -> None:
        changes = SettingsChange(delivery_channel="electronic")
        on = self.day + timedelta(days=1)
        self.ask(c.ChangeSettings(changes=changes, effective_on=on), f"customer:{CLIENT_ID}")

    def _message(self, text: str) -> None:
        message_id = self.new_id("M")
        self.ask(c.PostMessage(message_id=message_id, text=text, effective_on=self.day), SUPPORT)
