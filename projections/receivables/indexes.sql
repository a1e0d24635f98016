-- The indexes of the receivables tables; each but one begins with lane and account_id.

-- name: indexes
-- One for each order or range that is read and no primary key gives.
CREATE INDEX account_numbered ON account (account_number);
CREATE INDEX invoice_open ON invoice (lane, account_id, due_on, seq) WHERE open_minor <> 0;
CREATE INDEX invoice_listed ON invoice (lane, account_id, issued_on, seq);
CREATE INDEX invoice_made ON invoice (lane, account_id, position) WHERE kind = 'invoice';
CREATE INDEX invoice_cancelled ON invoice (lane, account_id, cancelled_on)
    WHERE cancelled_on IS NOT NULL;
CREATE INDEX invoice_range_holding
    ON invoice_range (lane, account_id, last_version, first_version, first_on, last_on);
CREATE INDEX charge_listed ON charge (lane, account_id, effective_on, seq);
CREATE INDEX charge_late ON charge (lane, account_id, seq) WHERE late;
CREATE INDEX charge_reversed ON charge (lane, account_id, reversed_on)
    WHERE reversed_on IS NOT NULL;
CREATE INDEX payment_listed ON payment (lane, account_id, effective_on, seq);
CREATE INDEX payment_last ON payment (lane, account_id, processed_on, processed_seq)
    WHERE stage = 'processed' AND processed_minor > returned_minor;
CREATE INDEX payment_step_listed ON payment_step (lane, account_id, effective_on, version);
CREATE INDEX payment_step_of ON payment_step (lane, account_id, payment_id, version);
CREATE INDEX credit_listed ON credit (lane, account_id, effective_on, seq);
CREATE INDEX payment_naming ON payment (lane, account_id, invoice) WHERE invoice IS NOT NULL;
CREATE INDEX credit_naming ON credit (lane, account_id, invoice) WHERE invoice IS NOT NULL;
CREATE INDEX credit_lines ON credit (lane, account_id, seq) WHERE applies_to = 'next_invoice';
CREATE INDEX credit_reversed ON credit (lane, account_id, reversed_on)
    WHERE reversed_on IS NOT NULL;
CREATE INDEX refund_listed ON refund (lane, account_id, effective_on, seq);
CREATE INDEX refund_reversed ON refund (lane, account_id, reversed_on)
    WHERE reversed_on IS NOT NULL;
CREATE INDEX write_off_listed ON write_off (lane, account_id, effective_on, seq);
CREATE INDEX write_off_reversed ON write_off (lane, account_id, reversed_on)
    WHERE reversed_on IS NOT NULL;
CREATE INDEX write_off_of ON write_off (lane, account_id, invoice);
CREATE INDEX dispute_listed ON dispute (lane, account_id, effective_on, seq);
CREATE INDEX message_listed ON message (lane, account_id, effective_on, seq);
CREATE INDEX allocation_of ON allocation (lane, account_id, source, version);
CREATE INDEX allocation_to ON allocation (lane, account_id, invoice, version);
CREATE INDEX allocation_recovers ON allocation (lane, account_id, effective_on)
    WHERE recovered_minor <> 0;
CREATE INDEX movement_of ON movement (lane, account_id, item, position) WHERE item <> '';
