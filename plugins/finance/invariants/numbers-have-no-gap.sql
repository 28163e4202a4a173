-- Invoices and entries of the ledger are numbered without a gap.
SELECT * FROM (
  SELECT 'invoices' AS what, max(invoice) - min(invoice) + 1 AS numbers, count(invoice) AS "rows" FROM payments
  UNION ALL SELECT 'entries', max(id), count(*) FROM entries
) WHERE coalesce(numbers, 0) <> "rows"
