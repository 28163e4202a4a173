-- Money is held for the orders that are placed and not shipped, and for no others.
-- The money of a payment whose authorisation was not answered is held or not.
SELECT number, iif(stage = 'authorised', amount, 0), amount FROM payments WHERE stage IN ('authorised', 'unknown')
