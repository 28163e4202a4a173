-- Copies of every album are reserved for the orders that are placed and not shipped, and for no others.
SELECT o.number || ' ' || l.sku, iif(o.doing IS NULL, l.copies, 0), l.copies
FROM orders AS o JOIN lines AS l ON l.order_id = o.id WHERE o.state IN ('placing', 'placed')
