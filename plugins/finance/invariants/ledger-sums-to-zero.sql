-- Every entry of the ledger has two lines or more, and they sum to zero.
SELECT 'entry ' || e.id AS entry, e.number AS "order", count(l.entry) AS lines, coalesce(sum(l.amount), 0) AS sum
FROM entries AS e LEFT JOIN lines AS l ON l.entry = e.id
GROUP BY e.id HAVING count(l.entry) < 2 OR coalesce(sum(l.amount), 0) <> 0
