-- Purchases already learned from; their ids only: who bought what stays with whoever sold it.
CREATE TABLE learned (
  purchase TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- In how many purchases each album was.
CREATE TABLE items (
  sku       TEXT    NOT NULL PRIMARY KEY,
  purchases INTEGER NOT NULL CHECK (purchases > 0)
) STRICT, WITHOUT ROWID;

-- suggest: the popular ones
CREATE INDEX items_by_popularity ON items (purchases DESC, sku);

-- In how many purchases two albums were together; each pair stands here both ways.
CREATE TABLE pairs (
  sku      TEXT    NOT NULL,
  other    TEXT    NOT NULL,
  together INTEGER NOT NULL CHECK (together > 0),
  PRIMARY KEY (sku, other)
) STRICT, WITHOUT ROWID;

-- suggest: what was bought most often together with one album
CREATE INDEX pairs_by_count ON pairs (sku, together DESC, other);
