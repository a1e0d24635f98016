"""`close-month 2020-07 --dry-run` on the screen: a line for every invoice that would be issued now."""

from collections.abc import Callable, Iterable

from api.amounts import Money
from api.cli.screen import Screen
from api.month_end_preview import CurrencyWouldBe, InvoiceWouldBe, PreviewEnd, end, lines
from ledger.closing_preview import Preview
from ledger.store.committer import Ledger

_ROW = "{:24}  {:10}  {:10}  {:10}  {:>7}" + 6 * "  {:>15}" + "  {}"
_HEAD = (
    *("account", "through", "issued", "due", "lines", "charges", "credits", "tax", "carried"),
    *("total", "open", "currency"),
)


def show(
    preview: Preview,
    ledger: Ledger,
    accounts: int,
    also_closed: Callable[[], list[str]],
    screen: Screen,
) -> None:
    """Tells the preview as it is made: rows and totals for people, the same lines as over HTTP as JSON.

    `also_closed` is asked in the end for earlier months whose books would be closed too.
    """
    is_headed = screen.as_json
    for batch in preview.batches(ledger):
        screen.progress("accounts", sum(preview.counts.values()), accounts)
        for line in lines(batch):
            if screen.as_json:
                screen.line(line)
            elif isinstance(line, InvoiceWouldBe):
                if not is_headed:
                    screen.say(_ROW.format(*_HEAD))
                    is_headed = True
                screen.say(_row(line))
            if not isinstance(line, InvoiceWouldBe):
                screen.complain(f"account {line.account_number}: {line.code}: {line.message}")
    last = end(preview, also_closed())
    _tell(last, screen)
    screen.result(last)


def _row(line: InvoiceWouldBe) -> str:
    summed = (line.new_charges, line.credits, line.tax, line.carried_to_credit)
    return _ROW.format(
        line.account_number,
        line.period_end.isoformat(),
        line.issued_on.isoformat(),
        line.due_on.isoformat(),
        f"{line.lines_count:,}",
        *(amount.amount for amount in (*summed, line.total, line.open_amount)),
        line.total.currency,
    )


def _tell(last: PreviewEnd, screen: Screen) -> None:
    for totals in last.currencies:
        _tell_totals(totals, screen)
    screen.say(
        f"{last.period}: {last.accounts} accounts: {last.issued} would be invoiced, "
        f"{last.replayed} invoiced before, {last.nothing_to_bill} with nothing to bill, "
        f"{last.not_due} not due, {last.refused} would be refused; nothing was recorded"
    )
    if last.also_closed:
        months = ", ".join(last.also_closed)
        screen.say(
            f"{last.period}: its books would be closed, and with them open earlier ones: {months}"
        )


def _tell_totals(totals: CurrencyWouldBe, screen: Screen) -> None:
    screen.say(f"{totals.currency}: {totals.invoices:,} invoices, {totals.lines_count:,} lines")
    tell_amounts(
        [
            *((f"charges: {one.category}", one.amount) for one in totals.categories),
            ("credits", totals.credits),
            *((f"tax: {one.name}", one.amount) for one in totals.taxes),
            ("carried to credit", totals.carried_to_credit),
            ("total", totals.total),
            ("applied at once", totals.applied),
            ("open", totals.open_amount),
        ],
        screen,
    )


def tell_amounts(named: Iterable[tuple[str, Money]], screen: Screen) -> None:
    """Amounts of one currency under each other, each by its name."""
    for name, money in named:
        screen.say(f"  {name:40}  {money.amount:>20}")
