-- The totals of a day's unbilled lines become arrays instead of objects, a third of the bytes:
-- [day, lines, charges, credits, tax, [[category, amount] ...], [[tax, amount] ...]].

UPDATE ledger.item SET state = convert_to(jsonb_set(kept.state, '{days}', (
    SELECT COALESCE(jsonb_agg(jsonb_build_array(
        day -> 'on',
        day -> 'lines' -> 'count',
        day -> 'lines' -> 'charges_minor',
        day -> 'lines' -> 'credits_minor',
        day -> 'lines' -> 'tax_minor',
        (SELECT COALESCE(jsonb_agg(jsonb_build_array(of -> 'category', of -> 'amount_minor') ORDER BY place), '[]')
         FROM jsonb_array_elements(day -> 'lines' -> 'categories') WITH ORDINALITY AS total (of, place)),
        (SELECT COALESCE(jsonb_agg(jsonb_build_array(of -> 'name', of -> 'amount_minor') ORDER BY place), '[]')
         FROM jsonb_array_elements(day -> 'lines' -> 'taxes') WITH ORDINALITY AS total (of, place))
    ) ORDER BY place), '[]')
    FROM jsonb_array_elements(kept.state -> 'days') WITH ORDINALITY AS listed (day, place)
))::text, 'UTF8')
FROM (
    SELECT lane, account_id, kind, id, convert_from(state, 'UTF8')::jsonb AS state
    FROM ledger.item WHERE kind = 'unbilled'
) AS kept
WHERE (item.lane, item.account_id, item.kind, item.id) = (kept.lane, kept.account_id, kept.kind, kept.id)
    AND kept.state ? 'days';
