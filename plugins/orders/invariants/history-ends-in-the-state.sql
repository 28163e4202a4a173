-- The last event in the history of an order is its state.
SELECT o.number, o.state AS state, e.state AS "last event"
FROM orders AS o LEFT JOIN events AS e
  ON e.order_id = o.id AND e.position = (SELECT max(position) FROM events WHERE order_id = o.id)
WHERE e.state IS NOT o.state
