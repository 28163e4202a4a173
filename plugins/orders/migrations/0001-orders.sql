-- An order is never deleted. What is personal in it is the address of its parcel; the card is never here.
CREATE TABLE orders (
  id          INTEGER PRIMARY KEY,
  number      TEXT    NOT NULL UNIQUE,
  customer    TEXT    NOT NULL,
  state       TEXT    NOT NULL
    CHECK (state IN ('placing', 'placed', 'shipped', 'return-requested', 'returned', 'cancelled', 'rejected')),
  copies      INTEGER NOT NULL CHECK (copies > 0),
  shipping    INTEGER NOT NULL CHECK (shipping >= 0),
  total       INTEGER NOT NULL CHECK (total >= 0),
  currency    TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  street      TEXT    NOT NULL,
  extra       TEXT    NOT NULL,
  city        TEXT    NOT NULL,
  postcode    TEXT    NOT NULL,
  country     TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  shipped_at  INTEGER,
  -- What is being done with other contexts, who are asked between two transactions; nothing else is done meanwhile. Whoever finds it
  -- standing for long does it to its end.
  doing       TEXT    CHECK (doing IN ('place', 'undo', 'cancel', 'ship', 'take-back')),
  doing_since INTEGER,
  -- For the history, once it is done.
  doing_note  TEXT    NOT NULL DEFAULT '',
  -- Why the order was rejected, as the answer of its key. None: by nobody's decision, and the key may be used again.
  outcome     TEXT,
  CHECK ((doing IS NULL) = (doing_since IS NULL)),
  CHECK ((state = 'placing') = (coalesce(doing, '') IN ('place', 'undo')))
) STRICT;

-- orders-of: the newest first
CREATE INDEX orders_by_customer ON orders (customer, at DESC, id DESC);
-- in-state: the oldest first
CREATE INDEX orders_by_state ON orders (state, at, id);
-- settle: what has been going on for longest
CREATE INDEX orders_being_done ON orders (doing_since) WHERE doing IS NOT NULL;

CREATE TABLE lines (
  order_id INTEGER NOT NULL REFERENCES orders,
  position INTEGER NOT NULL,
  sku      TEXT    NOT NULL,
  copies   INTEGER NOT NULL CHECK (copies > 0),
  price    INTEGER NOT NULL CHECK (price >= 0),
  returned INTEGER NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND copies),
  PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;

-- An order's history.
CREATE TABLE events (
  order_id INTEGER NOT NULL REFERENCES orders,
  position INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  state    TEXT    NOT NULL,
  note     TEXT    NOT NULL,
  PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;

-- What was wanted under which key.
CREATE TABLE keys (
  key      TEXT    NOT NULL PRIMARY KEY,
  what     TEXT    NOT NULL CHECK (what IN ('place', 'cancel', 'ship', 'request-return', 'receive-return')),
  order_id INTEGER NOT NULL REFERENCES orders
) STRICT, WITHOUT ROWID;

CREATE TABLE purchases (
  sequence INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders,
  learned  INTEGER NOT NULL CHECK (learned IN (0, 1))
) STRICT;
-- what recommendation has not been told yet
CREATE INDEX purchases_unlearned ON purchases (sequence) WHERE learned = 0;
