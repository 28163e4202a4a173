-- The copies of every album that customers have are those that were shipped and did not come back.
SELECT o.number || ' ' || l.sku,
  CASE WHEN o.state = 'placed' THEN 0
    WHEN o.state = 'returned' OR o.doing IS NOT NULL THEN l.copies - l.returned
    ELSE l.copies END,
  iif(o.state = 'returned', l.copies - l.returned, l.copies)
FROM orders AS o JOIN lines AS l ON l.order_id = o.id
WHERE o.state IN ('shipped', 'return-requested', 'returned') OR (o.state = 'placed' AND o.doing = 'ship')
