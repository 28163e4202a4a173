-- search: by other spellings. A row holds the album's words without marks, with letters such as ø and ð written as o and d, and with
-- words that punctuation divides also joined: `acdc`. Only albums that have another spelling than FTS5 gives them are here. The text
-- is kept nowhere. Marks on Latin letters are FTS5's to remove.
CREATE VIRTUAL TABLE name_forms USING fts5 (
  forms, content = '', contentless_delete = 1, prefix = '2 3 4 5', tokenize = 'unicode61 remove_diacritics 2'
);
-- search: by other spellings of anything
CREATE VIRTUAL TABLE word_forms USING fts5 (
  forms, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Albums whose spellings are not written yet: the component writes them, since SQL does not know the letters. A change by an older
-- version of the component, or by hand, waits here for the next edit or search.
CREATE TABLE unspelled (
  id INTEGER PRIMARY KEY  -- writing the spellings: the next ones
) STRICT;

INSERT INTO unspelled (id) SELECT id FROM albums WHERE discontinued = 0;

CREATE TRIGGER forms_insert AFTER INSERT ON albums WHEN NEW.discontinued = 0 BEGIN
  INSERT OR IGNORE INTO unspelled (id) VALUES (NEW.id);
END;

CREATE TRIGGER forms_update AFTER UPDATE OF artist, title, genre, label, notes, discontinued ON albums
WHEN (OLD.artist, OLD.title, OLD.genre, OLD.label, OLD.notes, OLD.discontinued)
  IS NOT (NEW.artist, NEW.title, NEW.genre, NEW.label, NEW.notes, NEW.discontinued) BEGIN
  DELETE FROM name_forms WHERE rowid = OLD.id;
  DELETE FROM word_forms WHERE rowid = OLD.id;
  DELETE FROM unspelled WHERE id = OLD.id;
  INSERT INTO unspelled (id) SELECT NEW.id WHERE NEW.discontinued = 0;
END;
