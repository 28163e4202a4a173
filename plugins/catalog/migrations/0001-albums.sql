-- An album is never deleted: whoever holds its SKU can resolve it (decisions/0002).
CREATE TABLE albums (
  id           INTEGER PRIMARY KEY,
  sku          TEXT    NOT NULL UNIQUE,
  artist       TEXT    NOT NULL,
  title        TEXT    NOT NULL,
  year         INTEGER NOT NULL,
  genre        TEXT    NOT NULL,
  label        TEXT    NOT NULL,
  price_minor  INTEGER NOT NULL CHECK (price_minor >= 0),
  currency     TEXT    NOT NULL,
  notes        TEXT    NOT NULL,
  discontinued INTEGER NOT NULL CHECK (discontinued IN (0, 1))
) STRICT;

-- browse: everything, or one decade
CREATE INDEX albums_by_year ON albums (year DESC) WHERE discontinued = 0;
-- browse: a genre, in all years or one decade
CREATE INDEX albums_by_genre ON albums (genre, year DESC) WHERE discontinued = 0;
-- browse: an artist, in all years or one decade
CREATE INDEX albums_by_artist ON albums (artist, year DESC) WHERE discontinued = 0;
-- browse: an artist within a genre, in all years or one decade
CREATE INDEX albums_by_artist_and_genre ON albums (artist, genre, year DESC) WHERE discontinued = 0;

-- How many albums on sale each genre, decade and artist has; kept by the triggers below, in the transaction of the change.
CREATE TABLE facets (
  kind  TEXT    NOT NULL,
  name  TEXT    NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- facets: the ones with the most albums
CREATE INDEX facets_by_count ON facets (kind, count DESC, name);

CREATE TRIGGER facets_insert AFTER INSERT ON albums WHEN NEW.discontinued = 0 BEGIN
  INSERT INTO facets (kind, name, count)
    VALUES ('genre', NEW.genre, 1), ('decade', CAST(NEW.year / 10 * 10 AS TEXT), 1), ('artist', NEW.artist, 1)
    ON CONFLICT (kind, name) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER facets_update AFTER UPDATE OF genre, year, artist, discontinued ON albums
WHEN (OLD.genre, OLD.year, OLD.artist, OLD.discontinued) IS NOT (NEW.genre, NEW.year, NEW.artist, NEW.discontinued) BEGIN
  UPDATE facets SET count = count - 1
    WHERE OLD.discontinued = 0
      AND (kind, name) IN (VALUES ('genre', OLD.genre), ('decade', CAST(OLD.year / 10 * 10 AS TEXT)), ('artist', OLD.artist));
  INSERT INTO facets (kind, name, count)
    SELECT 'genre', NEW.genre, 1 WHERE NEW.discontinued = 0
    UNION ALL SELECT 'decade', CAST(NEW.year / 10 * 10 AS TEXT), 1 WHERE NEW.discontinued = 0
    UNION ALL SELECT 'artist', NEW.artist, 1 WHERE NEW.discontinued = 0
    ON CONFLICT (kind, name) DO UPDATE SET count = count + 1;
  DELETE FROM facets
    WHERE count = 0
      AND (kind, name) IN (VALUES ('genre', OLD.genre), ('decade', CAST(OLD.year / 10 * 10 AS TEXT)), ('artist', OLD.artist));
END;

-- What can be searched, as FTS5 reads it when it rebuilds an index.
CREATE VIEW searchable AS SELECT id, artist, title, genre, label, notes FROM albums WHERE discontinued = 0;

-- search: by name, where the last word may be a beginning: beginnings of 2 to 5 letters have an index of their own, so that they are
-- read as they come and the first few can be taken. Two indexes, because FTS5 reads over every match of a word to find those in one
-- column. `columnsize` would serve bm25 only, whose cost grows with the number of matches.
CREATE VIRTUAL TABLE album_names USING fts5 (
  artist, title,
  content = 'searchable', content_rowid = 'id', columnsize = 0, prefix = '2 3 4 5', tokenize = 'unicode61 remove_diacritics 2'
);
-- search: by anything
CREATE VIRTUAL TABLE album_words USING fts5 (
  artist, title, genre, label, notes,
  content = 'searchable', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER words_insert AFTER INSERT ON albums WHEN NEW.discontinued = 0 BEGIN
  INSERT INTO album_names (rowid, artist, title) VALUES (NEW.id, NEW.artist, NEW.title);
  INSERT INTO album_words (rowid, artist, title, genre, label, notes)
    VALUES (NEW.id, NEW.artist, NEW.title, NEW.genre, NEW.label, NEW.notes);
END;

CREATE TRIGGER words_update AFTER UPDATE OF artist, title, genre, label, notes, discontinued ON albums
WHEN (OLD.artist, OLD.title, OLD.genre, OLD.label, OLD.notes, OLD.discontinued)
  IS NOT (NEW.artist, NEW.title, NEW.genre, NEW.label, NEW.notes, NEW.discontinued) BEGIN
  INSERT INTO album_names (album_names, rowid, artist, title)
    SELECT 'delete', OLD.id, OLD.artist, OLD.title WHERE OLD.discontinued = 0;
  INSERT INTO album_words (album_words, rowid, artist, title, genre, label, notes)
    SELECT 'delete', OLD.id, OLD.artist, OLD.title, OLD.genre, OLD.label, OLD.notes WHERE OLD.discontinued = 0;
  INSERT INTO album_names (rowid, artist, title) SELECT NEW.id, NEW.artist, NEW.title WHERE NEW.discontinued = 0;
  INSERT INTO album_words (rowid, artist, title, genre, label, notes)
    SELECT NEW.id, NEW.artist, NEW.title, NEW.genre, NEW.label, NEW.notes WHERE NEW.discontinued = 0;
END;

CREATE TRIGGER albums_are_never_deleted BEFORE DELETE ON albums BEGIN
  SELECT RAISE(ABORT, 'an album is never deleted: it is marked discontinued');
END;
