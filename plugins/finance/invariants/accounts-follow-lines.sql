-- The debit and the credit that are kept of each account are those of its lines.
SELECT account, currency, kept.debit AS debit, booked.debit AS "debit of lines",
  kept.credit AS credit, booked.credit AS "credit of lines"
FROM totals AS kept FULL JOIN (
    SELECT account, currency, sum(max(amount, 0)) AS debit, sum(max(-amount, 0)) AS credit
    FROM lines GROUP BY account, currency
  ) AS booked USING (account, currency)
WHERE kept.debit IS NOT booked.debit OR kept.credit IS NOT booked.credit
