-- Cards pay at once: no customer owes anything, and the balance that is kept is that of the lines.
SELECT customer, currency, kept.balance AS balance, booked.balance AS "balance of lines"
FROM balances AS kept FULL JOIN (
    SELECT customer, currency, sum(amount) AS balance FROM lines WHERE customer IS NOT NULL GROUP BY customer, currency
  ) AS booked USING (customer, currency)
WHERE kept.balance IS NOT booked.balance OR booked.balance <> 0
