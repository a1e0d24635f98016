"""An account's own rows on the write side, which commands are decided by: what its events come to."""

import msgspec

from ledger.store.append import decode_account
from projections.reconciliation.account_fold import Sum
from projections.reconciliation.findings import Findings
from projections.reconciliation.receivables_check import TOTALS

_OF_ITEMS = ("open", "unapplied")


def check_written(findings: Findings, last_hash: bytes) -> None:
    """The account's row and its open items, after its last event, whose hash is given."""
    _check_account(findings, last_hash)
    books, items = findings.books, findings.fold.items
    stream = books.written_items
    books.strays("ledger.item", stream.before(findings.account_id))
    found = {row[1:3]: row[3] for row in stream.at(findings.account_id)}
    for key in sorted(found.keys() | {key for key in items if key[0] in _OF_ITEMS}):
        figure, item = key
        findings.check_sum(
            f"ledger.item {item}", figure, items.get(key) or Sum(), found.get(key, 0)
        )


def _check_account(findings: Findings, last_hash: bytes) -> None:
    fold, where = findings.fold, "ledger.account"
    row = findings.books.written.get(findings.account_id)
    if row is None:
        findings.differs(where, "row", "there is no row", first_position=fold.position)
        return
    _, number, version, state, hash = row
    try:
        account = decode_account(state)
    except msgspec.MsgspecError as fault:
        findings.differs(where, "row", f"cannot be read: {fault}", first_position=fold.position)
        return
    findings.check_facts(where, (number, account.currency, version))
    findings.check_facts(where, (account.account_number, account.currency, account.version))
    if hash != last_hash:
        says = f"the hash is {hash.hex()}, and that of the last event {last_hash.hex()}"
        findings.differs(where, "hash", says, first_position=fold.position)
    for figure in TOTALS:
        found_minor = getattr(account, f"{figure}_minor")
        findings.check_sum(where, figure, fold.figures[figure], found_minor)
    disputed = Sum(fold.disputed_minor, fold.figures["flagged"].position)
    findings.check_sum(where, "disputed", disputed, account.disputed_minor)
