-- Copies of every album are reserved for the orders that are placed and not shipped, and for no others.
SELECT o.number || ' ' || l.sku, l.copies
FROM orders AS o JOIN lines AS l ON l.number = o.number WHERE o.stage IN (0, 1)
