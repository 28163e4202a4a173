-- The token that finance gave for the card, until the order is placed or rejected. Never the card.
ALTER TABLE orders ADD COLUMN card_token TEXT;

-- `doing` says which of its sagas an order is in the middle of, and `doing_since` since when: it no longer moves on with
-- each attempt. `doing_from` is not written any more.
UPDATE orders SET doing_since = coalesce(doing_from, iif(state = 'placing', at, doing_since)) WHERE doing IS NOT NULL;

-- Orders in the middle of a change from before sagas. `take-over` starts their sagas and takes them out.
CREATE TABLE without_saga (order_id INTEGER PRIMARY KEY REFERENCES orders) STRICT;
INSERT INTO without_saga (order_id) SELECT id FROM orders WHERE doing IS NOT NULL;
