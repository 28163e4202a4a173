-- find: everything, the newest first
CREATE INDEX orders_by_time ON orders (at, id);

-- find: by beginnings of the words of the recipient's name; beginnings of 2 and 3 letters have an index of their own.
CREATE VIRTUAL TABLE recipients USING fts5 (
  name, content = 'orders', content_rowid = 'id', columnsize = 0, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

INSERT INTO recipients (rowid, name) SELECT id, name FROM orders;

CREATE TRIGGER recipients_insert AFTER INSERT ON orders BEGIN
  INSERT INTO recipients (rowid, name) VALUES (NEW.id, NEW.name);
END;

CREATE TRIGGER recipients_update AFTER UPDATE OF name ON orders WHEN OLD.name IS NOT NEW.name BEGIN
  INSERT INTO recipients (recipients, rowid, name) VALUES ('delete', OLD.id, OLD.name);
  INSERT INTO recipients (rowid, name) VALUES (NEW.id, NEW.name);
END;
