"""How receivables rows get into their tables."""

from ledger.store.sql import load
from projections.lane_days import NOTE_LANE_DAY, LaneDayRow
from projections.receivables import account_rows as a
from projections.receivables import item_rows as i
from projections.writing import Writing, copies, statement

_SQL = {
    **load("projections.receivables", "makes.sql"),
    **load("projections.receivables", "changes.sql"),
}
_STATEMENTS = {
    a.AccountRow: statement(_SQL["make_account"], a.AccountRow),
    a.AccountChange: statement(_SQL["change_account"], a.AccountChange),
    a.SettingRow: statement(_SQL["make_setting"], a.SettingRow),
    i.InvoiceRow: statement(_SQL["make_invoice"], i.InvoiceRow),
    i.InvoiceChange: statement(_SQL["change_invoice"], i.InvoiceChange),
    i.InvoiceRangeRow: statement(_SQL["make_invoice_range"], i.InvoiceRangeRow),
    i.ChargeRow: statement(_SQL["make_charge"], i.ChargeRow),
    i.ChargeChange: statement(_SQL["change_charge"], i.ChargeChange),
    i.PaymentRow: statement(_SQL["make_payment"], i.PaymentRow),
    i.PaymentChange: statement(_SQL["change_payment"], i.PaymentChange),
    i.PaymentStepRow: statement(_SQL["make_payment_step"], i.PaymentStepRow),
    i.CreditRow: statement(_SQL["make_credit"], i.CreditRow),
    i.CreditChange: statement(_SQL["change_credit"], i.CreditChange),
    i.AllocationRow: statement(_SQL["make_allocation"], i.AllocationRow),
    i.RefundRow: statement(_SQL["make_refund"], i.RefundRow),
    i.RefundChange: statement(_SQL["change_refund"], i.RefundChange),
    i.WriteOffRow: statement(_SQL["make_write_off"], i.WriteOffRow),
    i.WriteOffChange: statement(_SQL["change_write_off"], i.WriteOffChange),
    i.DisputeRow: statement(_SQL["make_dispute"], i.DisputeRow),
    i.DisputeChange: statement(_SQL["change_dispute"], i.DisputeChange),
    a.MessageRow: statement(_SQL["make_message"], a.MessageRow),
    a.MovementRow: statement(_SQL["make_movement"], a.MovementRow),
    a.DailyRow: statement(_SQL["add_daily"], a.DailyRow),
    LaneDayRow: NOTE_LANE_DAY,
}
_TABLES = {
    a.AccountRow: "account",
    a.SettingRow: "setting",
    i.InvoiceRow: "invoice",
    i.InvoiceRangeRow: "invoice_range",
    i.ChargeRow: "charge",
    i.PaymentRow: "payment",
    i.PaymentStepRow: "payment_step",
    i.CreditRow: "credit",
    i.AllocationRow: "allocation",
    i.RefundRow: "refund",
    i.WriteOffRow: "write_off",
    i.DisputeRow: "dispute",
    a.MessageRow: "message",
    a.MovementRow: "movement",
    a.DailyRow: "daily",
    LaneDayRow: "lane_day",
}

WRITING = Writing(_STATEMENTS, copies(_TABLES))
