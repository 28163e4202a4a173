-- The account of the operator who counted or restocked. NULL: an order's doing, or not known.
ALTER TABLE movements ADD COLUMN by TEXT;
