-- Of every album, the copies reserved and shipped are those of the orders.
SELECT sku, sum(reserved) AS reserved, sum(for_orders) AS "reserved for orders",
  sum(shipped) AS shipped, sum(to_customers) AS "shipped for orders"
FROM (
  SELECT sku, reserved, shipped, 0 AS for_orders, 0 AS to_customers FROM levels
  UNION ALL
  SELECT l.sku, 0, 0, iif(o.stage IN (0, 1), l.copies, 0), iif(o.stage = 2, l.copies - l.returned, 0)
  FROM orders AS o JOIN lines AS l ON l.number = o.number
) GROUP BY sku HAVING sum(reserved) <> sum(for_orders) OR sum(shipped) <> sum(to_customers)
