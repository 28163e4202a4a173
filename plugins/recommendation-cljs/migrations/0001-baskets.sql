-- Purchases as they were made, and nothing worked out from them.
CREATE TABLE baskets (
  number INTEGER PRIMARY KEY,
  id     TEXT NOT NULL UNIQUE
) STRICT;

-- suggest: the latest baskets with an album
CREATE TABLE lines (
  sku    TEXT    NOT NULL,
  basket INTEGER NOT NULL REFERENCES baskets (number),
  PRIMARY KEY (sku, basket)
) STRICT, WITHOUT ROWID;

-- suggest: what else was in a basket; what is popular in the latest ones
CREATE INDEX lines_by_basket ON lines (basket, sku);
