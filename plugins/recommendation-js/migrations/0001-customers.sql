-- Purchases already learned from.
CREATE TABLE learned (
  purchase TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Which customer has which albums, in the order in which they were learned of.
CREATE TABLE owned (
  number   INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  sku      TEXT NOT NULL,
  UNIQUE (customer, sku)
) STRICT;

-- learn: what a customer has had last
CREATE INDEX owned_by_customer ON owned (customer, number DESC, sku);

-- How many customers have each album.
CREATE TABLE albums (
  sku       TEXT    NOT NULL PRIMARY KEY,
  customers INTEGER NOT NULL CHECK (customers > 0)
) STRICT, WITHOUT ROWID;

-- suggest: the popular ones
CREATE INDEX albums_by_popularity ON albums (customers DESC, sku);

-- How many customers have both of two albums; each pair stands here both ways.
CREATE TABLE pairs (
  sku       TEXT    NOT NULL,
  other     TEXT    NOT NULL,
  customers INTEGER NOT NULL CHECK (customers > 0),
  PRIMARY KEY (sku, other)
) STRICT, WITHOUT ROWID;

-- suggest: what most customers have beside one album
CREATE INDEX pairs_by_count ON pairs (sku, customers DESC, other);

-- How many customers there are.
CREATE TABLE totals (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  customers INTEGER NOT NULL
) STRICT;

INSERT INTO totals VALUES (1, 0);
