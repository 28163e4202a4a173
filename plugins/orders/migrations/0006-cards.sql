-- The network address that sent the card of an order whose request did not wait for its end, until the order is placed
-- or rejected: when the card is looked at, it counts under the limits of that address.
ALTER TABLE orders ADD COLUMN card_from TEXT;
