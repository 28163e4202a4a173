-- refunds: what was given back for one order
CREATE INDEX entries_by_order ON entries (number, id);

-- Who gave money back: the account, by the entry of the refund. Refunds without a row here name no account.
CREATE TABLE givers (
  entry INTEGER PRIMARY KEY REFERENCES entries (id),
  by    TEXT    NOT NULL CHECK (by <> '')
) STRICT;

CREATE TRIGGER givers_are_never_changed BEFORE UPDATE ON givers BEGIN
  SELECT RAISE(ABORT, 'who gave money back is never changed');
END;

CREATE TRIGGER givers_are_never_deleted BEFORE DELETE ON givers BEGIN
  SELECT RAISE(ABORT, 'who gave money back is never deleted');
END;
