-- The debit and the credit that are kept of each account are those of its lines.
SELECT account, currency, sum(debit) AS debit, sum(line_debit) AS "debit of lines",
  sum(credit) AS credit, sum(line_credit) AS "credit of lines"
FROM (
  SELECT account, currency, debit, credit, 0 AS line_debit, 0 AS line_credit FROM totals
  UNION ALL
  SELECT account, currency, 0, 0, max(amount, 0), max(-amount, 0) FROM lines
) GROUP BY account, currency HAVING sum(debit) <> sum(line_debit) OR sum(credit) <> sum(line_credit)
