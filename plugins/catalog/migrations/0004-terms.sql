-- search: an album by its number, the digits that the letters of its SKU lead to
CREATE INDEX albums_by_number ON albums (CAST(ltrim(sku, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-') AS INTEGER)) WHERE discontinued = 0;

-- The words of artists, titles, genres and labels in small letters without marks, and as one of the albums writes them.
-- A word stays when its albums go: what is offered has been searched for first.
CREATE TABLE terms (
  term  TEXT NOT NULL PRIMARY KEY,  -- did-you-mean: whether a word is one of the catalog's
  shown TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Each term by itself and without each of its letters: near terms have such a form in common.
CREATE TABLE near_terms (
  form TEXT NOT NULL,
  term TEXT NOT NULL,
  PRIMARY KEY (form, term)  -- did-you-mean: the terms near a word
) STRICT, WITHOUT ROWID;

-- Spellings have more forms than before (`oe` for `ö`), so all are written again with the next edits and searches.
INSERT INTO name_forms (name_forms) VALUES ('delete-all');
INSERT INTO word_forms (word_forms) VALUES ('delete-all');
INSERT OR IGNORE INTO unspelled (id) SELECT id FROM albums WHERE discontinued = 0;
