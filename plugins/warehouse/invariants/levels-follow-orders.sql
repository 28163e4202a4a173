-- Of every album, the copies reserved and shipped are those of the orders.
SELECT sku, coalesce(level.reserved, 0) AS reserved, coalesce(ordered.reserved, 0) AS "reserved for orders",
  coalesce(level.shipped, 0) AS shipped, coalesce(ordered.shipped, 0) AS "shipped for orders"
FROM levels AS level FULL JOIN (
    SELECT l.sku, sum(iif(o.stage IN (0, 1), l.copies, 0)) AS reserved,
      sum(iif(o.stage = 2, l.copies - l.returned, 0)) AS shipped
    FROM lines AS l JOIN orders AS o ON o.number = l.number GROUP BY l.sku
  ) AS ordered USING (sku)
WHERE coalesce(level.reserved, 0) <> coalesce(ordered.reserved, 0)
  OR coalesce(level.shipped, 0) <> coalesce(ordered.shipped, 0)
