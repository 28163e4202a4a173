-- Beside the copies that can be had, those on their way: of every album, what came in is on the shelf, reserved or with customers.
CREATE TABLE copies (
  sku      TEXT    NOT NULL PRIMARY KEY,
  on_hand  INTEGER NOT NULL CHECK (on_hand >= 0),
  reserved INTEGER NOT NULL CHECK (reserved >= 0),
  shipped  INTEGER NOT NULL CHECK (shipped >= 0),
  received INTEGER NOT NULL,
  CHECK (on_hand + reserved + shipped = received)
) STRICT, WITHOUT ROWID;
INSERT INTO copies (sku, on_hand, reserved, shipped, received) SELECT sku, on_hand, 0, 0, on_hand FROM levels;
DROP TABLE levels;
ALTER TABLE copies RENAME TO levels;

-- Why the copies on the shelf became more or fewer.
CREATE TABLE movements (
  id        INTEGER PRIMARY KEY,
  sku       TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  -- 0 counted, 1 restocked, 2 reserved, 3 released, 4 returned
  cause     INTEGER NOT NULL CHECK (cause BETWEEN 0 AND 4),
  change    INTEGER NOT NULL CHECK (change <> 0),
  on_hand   INTEGER NOT NULL CHECK (on_hand >= 0),
  reference TEXT    NOT NULL
) STRICT;
-- history: the newest of one album
CREATE INDEX movements_by_sku ON movements (sku, id);

CREATE TABLE orders (
  number TEXT    NOT NULL PRIMARY KEY,
  -- 0 reserved, 1 cleared, 2 shipped, 3 released
  stage  INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 3),
  at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- pick-list: those that are cleared, oldest first
CREATE INDEX orders_to_pick ON orders (at, number) WHERE stage = 1;

CREATE TABLE lines (
  number   TEXT    NOT NULL REFERENCES orders (number),
  sku      TEXT    NOT NULL,
  copies   INTEGER NOT NULL CHECK (copies > 0),
  returned INTEGER NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND copies),
  PRIMARY KEY (number, sku)
) STRICT, WITHOUT ROWID;

-- Restocks and returns that have happened: each once, however often it is told.
CREATE TABLE keys (
  key     TEXT NOT NULL PRIMARY KEY,
  -- What was asked for under the key.
  request TEXT NOT NULL
) STRICT, WITHOUT ROWID;
