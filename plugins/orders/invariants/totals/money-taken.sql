-- Money is taken for the orders that are shipped, and for no others.
SELECT number, iif(state = 'placed', 0, total), total
FROM orders WHERE state IN ('shipped', 'return-requested', 'returned') OR (state = 'placed' AND doing = 'ship')
