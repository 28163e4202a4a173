-- What the monolith keeps of orders, beside the tables that it has from the contexts: albums, levels and movements, items and pairs,
-- accounts and sessions. One file, so that an order is one transaction: no reservation and no key of another service is needed.

CREATE TABLE orders (
  id          INTEGER PRIMARY KEY,
  number      TEXT    NOT NULL UNIQUE,
  -- The form's: the same again is the same order.
  key         TEXT    NOT NULL UNIQUE,
  customer    TEXT    NOT NULL REFERENCES accounts (id),
  state       TEXT    NOT NULL
    CHECK (state IN ('placed', 'shipped', 'return-requested', 'returned', 'cancelled')),
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
  shipped_at  INTEGER
) STRICT;
-- a customer's orders: the newest first
CREATE INDEX orders_by_customer ON orders (customer, at DESC, id DESC);
-- orders in a state, to pick among others: the oldest first
CREATE INDEX orders_by_state ON orders (state, at, id);

CREATE TABLE lines (
  order_id INTEGER NOT NULL REFERENCES orders,
  position INTEGER NOT NULL,
  sku      TEXT    NOT NULL,
  copies   INTEGER NOT NULL CHECK (copies > 0),
  price    INTEGER NOT NULL CHECK (price >= 0),
  returned INTEGER NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND copies),
  PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  order_id INTEGER NOT NULL REFERENCES orders,
  position INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  state    TEXT    NOT NULL,
  note     TEXT    NOT NULL,
  PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
  order_id   INTEGER NOT NULL PRIMARY KEY REFERENCES orders,
  stage      TEXT    NOT NULL CHECK (stage IN ('authorised', 'captured', 'voided')),
  amount     INTEGER NOT NULL CHECK (amount > 0),
  currency   TEXT    NOT NULL,
  refunded   INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= amount),
  card       TEXT    NOT NULL CHECK (length(card) = 4),
  authorised INTEGER NOT NULL
) STRICT;
