-- The copies of every album that customers have are those that were shipped and did not come back.
SELECT o.number || ' ' || l.sku, l.copies - l.returned
FROM orders AS o JOIN lines AS l ON l.number = o.number WHERE o.stage = 2
