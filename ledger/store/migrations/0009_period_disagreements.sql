-- What was found to disagree of a lane's part of a month that is cut off: kept until it is proved, so
-- that whoever reads the books sees why they are not closed. The version before neither reads nor
-- writes these; what stands in them counts only while the lane is not proved.

ALTER TABLE ledger.period_close
    ADD COLUMN disagreements int NOT NULL DEFAULT 0 CHECK (disagreements >= 0),
    -- The first of them: [{lane, period, view, currency, figure, events, found}].
    ADD COLUMN disagreeing jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN disagreed_at timestamptz;

GRANT UPDATE (disagreements, disagreeing, disagreed_at) ON ledger.period_close TO billing_writer;
