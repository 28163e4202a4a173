-- Money is given back for the copies that came back, and otherwise only by a person with a name.
-- Two notes say that a person had given some of it back before.
SELECT o.number,
  iif(o.state = 'returned' AND NOT EXISTS (
    SELECT 1 FROM events AS e WHERE e.order_id = o.id AND e.note IN (
      'All of the money had been given back before.',
      'Some of the money had been given back before; the shop looks after the rest.')), back.price, 0),
  back.price
FROM orders AS o
  JOIN (SELECT order_id, sum(returned * price) AS price FROM lines WHERE returned > 0 GROUP BY order_id) AS back
  ON back.order_id = o.id
WHERE o.state = 'returned' OR o.doing = 'take-back'
