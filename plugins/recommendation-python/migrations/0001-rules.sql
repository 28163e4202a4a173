-- Weights are sums over purchases, each of which weighs twice what one of half a year before does (`recommendation/rules.py`).

-- Purchases already learned from.
CREATE TABLE learned (
  purchase TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- The purchases with each album.
CREATE TABLE albums (
  sku    TEXT NOT NULL PRIMARY KEY,
  weight REAL NOT NULL CHECK (weight > 0)
) STRICT, WITHOUT ROWID;

-- suggest: the popular ones
CREATE INDEX albums_by_popularity ON albums (weight DESC, sku);

-- The purchases with both of two albums; each pair stands here both ways.
CREATE TABLE pairs (
  sku       TEXT    NOT NULL,
  other     TEXT    NOT NULL,
  weight    REAL    NOT NULL CHECK (weight > 0),
  purchases INTEGER NOT NULL CHECK (purchases > 0),
  PRIMARY KEY (sku, other)
) STRICT, WITHOUT ROWID;

-- suggest: what weighs most together with one album
CREATE INDEX pairs_by_weight ON pairs (sku, weight DESC, other);

-- All purchases.
CREATE TABLE totals (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  weight REAL NOT NULL
) STRICT;

INSERT INTO totals VALUES (1, 0.0);
