-- What was changed of an album: a row for each aspect. Never changed.
CREATE TABLE changes (
  id     INTEGER PRIMARY KEY,
  sku    TEXT    NOT NULL REFERENCES albums (sku),
  at     INTEGER NOT NULL,
  -- 0 artist, 1 title, 2 year, 3 genre, 4 label, 5 notes, 6 price, 7 sale
  aspect INTEGER NOT NULL CHECK (aspect BETWEEN 0 AND 7),
  was    TEXT    NOT NULL,
  now    TEXT    NOT NULL,
  -- The account of an operator. NULL: not known.
  by     TEXT
) STRICT;
-- list-changes: the newest of one album
CREATE INDEX changes_by_sku ON changes (sku, id);

CREATE TRIGGER changes_are_never_changed BEFORE UPDATE ON changes BEGIN
  SELECT RAISE(ABORT, 'what was changed is never rewritten');
END;

CREATE TRIGGER changes_are_never_deleted BEFORE DELETE ON changes BEGIN
  SELECT RAISE(ABORT, 'what was changed is never deleted');
END;
