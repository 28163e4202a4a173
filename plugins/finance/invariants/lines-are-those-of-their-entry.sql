-- The lines of the ledger are those that its entries were written with.
SELECT 'entry ' || e.id AS entry, e.number AS "order", written.value AS written, l.account AS account, l.amount AS amount
FROM entries AS e CROSS JOIN json_each(e.lines) AS written
  LEFT JOIN lines AS l ON l.entry = e.id AND l.position = written.key
WHERE l.account IS NOT written.value ->> 0 OR l.customer IS NOT written.value ->> 1
  OR l.amount IS NOT written.value ->> 2 OR l.currency IS NOT e.currency
