-- For every order, the cards have paid what was captured less what was refunded.
SELECT number, sum(due) AS "captured less refunded", sum(paid) AS "paid by the ledger"
FROM (
  SELECT number, amount - refunded AS due, 0 AS paid FROM payments WHERE stage = 'captured'
  UNION ALL
  SELECT e.number, 0, l.amount FROM lines AS l CROSS JOIN entries AS e ON e.id = l.entry
  WHERE l.account = 'card-clearing'
) GROUP BY number HAVING sum(due) <> sum(paid)
