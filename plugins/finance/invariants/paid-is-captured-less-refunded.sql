-- For every order, the cards have paid what was captured less what was refunded.
SELECT number, coalesce(payment.paid, 0) AS "captured less refunded", coalesce(booked.paid, 0) AS "paid by the ledger"
FROM (SELECT number, amount - refunded AS paid FROM payments WHERE stage = 'captured') AS payment
  FULL JOIN (
    SELECT e.number, sum(l.amount) AS paid FROM entries AS e JOIN lines AS l ON l.entry = e.id
    WHERE l.account = 'card-clearing' GROUP BY e.number
  ) AS booked USING (number)
WHERE coalesce(payment.paid, 0) <> coalesce(booked.paid, 0)
