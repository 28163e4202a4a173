-- Money is taken for the orders that are shipped, and for no others.
SELECT number, amount FROM payments WHERE stage = 'captured'
