-- An order that is being placed, cancelled, shipped or taken back comes to an end within ten minutes.
SELECT number, state, doing, (:now - since) / 60 AS minutes
FROM (
  SELECT *, coalesce(doing_from, iif(state = 'placing', at, doing_since)) AS since FROM orders WHERE doing IS NOT NULL
) WHERE :now - since > 600
