-- An order is placed or rejected within a day, for which it may wait for another context; every other change of it ends
-- within ten minutes.
SELECT number, state, doing, (:now - doing_since) / 60 AS minutes
FROM orders WHERE doing IS NOT NULL AND :now - doing_since > iif(state = 'placing', 87000, 600)
