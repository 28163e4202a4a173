-- Cards pay at once: no customer owes anything, and the balance that is kept is that of the lines.
SELECT customer, currency, sum(balance) AS balance, sum(amount) AS "balance of lines"
FROM (
  SELECT customer, currency, balance, 0 AS amount FROM balances
  UNION ALL
  SELECT customer, currency, 0, amount FROM lines WHERE customer IS NOT NULL
) GROUP BY customer, currency HAVING sum(balance) <> sum(amount) OR sum(amount) <> 0
