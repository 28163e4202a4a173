-- An order that is being placed, cancelled, shipped or taken back comes to an end within ten minutes.
SELECT number, state, doing, (:now - since) / 60 AS minutes
FROM (SELECT *, iif(doing IN ('place', 'undo'), at, doing_since) AS since FROM orders WHERE doing IS NOT NULL)
WHERE :now - since > 600
