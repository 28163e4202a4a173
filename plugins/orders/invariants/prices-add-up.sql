-- What an order costs is its lines and its shipping, and its copies are those of its lines.
SELECT o.number, o.total AS total, coalesce(sum(l.copies * l.price), 0) + o.shipping AS "sum of lines",
  o.copies AS copies, coalesce(sum(l.copies), 0) AS "copies of lines"
FROM orders AS o LEFT JOIN lines AS l ON l.order_id = o.id
GROUP BY o.id
HAVING o.total <> coalesce(sum(l.copies * l.price), 0) + o.shipping OR o.copies <> coalesce(sum(l.copies), 0)
