-- The accounts of the operators behind an event. NULL: a customer's or the host's doing, or not known.
ALTER TABLE events ADD COLUMN by TEXT;
ALTER TABLE events ADD COLUMN ended_by TEXT;

-- Who started the change that is under way, and when: `doing_since` moves on with each attempt to end it. NULL while an
-- order is being placed, which started with the order.
ALTER TABLE orders ADD COLUMN doing_by TEXT;
ALTER TABLE orders ADD COLUMN doing_from INTEGER;
