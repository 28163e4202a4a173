-- Money is held for the orders that are placed and not shipped, and for no others.
SELECT number, iif(doing IS NULL, total, 0), total FROM orders WHERE state IN ('placing', 'placed')
