-- Somebody who left keeps the row, because orders and books hold the id; everything personal in it is NULL then.
CREATE TABLE accounts (
  id            TEXT    NOT NULL PRIMARY KEY,  -- names, put: by id
  since         INTEGER NOT NULL,
  operator      INTEGER NOT NULL CHECK (operator IN (0, 1)),
  email         TEXT,
  email_key     TEXT    UNIQUE,                -- sign-in, sign-up, set-operator: the e-mail address without regard to case
  name          TEXT,
  password_hash TEXT,
  -- The address: all of it, or nothing.
  recipient     TEXT,
  street        TEXT,
  extra         TEXT,
  city          TEXT,
  postcode      TEXT,
  country       TEXT,
  CHECK ((email IS NULL) = (email_key IS NULL) AND (email IS NULL) = (name IS NULL)
     AND (email IS NULL) = (password_hash IS NULL)),
  CHECK ((recipient IS NULL) = (street IS NULL) AND (recipient IS NULL) = (extra IS NULL)
     AND (recipient IS NULL) = (city IS NULL) AND (recipient IS NULL) = (postcode IS NULL)
     AND (recipient IS NULL) = (country IS NULL)),
  CHECK (email IS NOT NULL OR (recipient IS NULL AND operator = 0))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER accounts_are_never_deleted BEFORE DELETE ON accounts BEGIN
  SELECT RAISE(ABORT, 'an account is never deleted: what is personal in it is erased');
END;

CREATE TRIGGER who_left_stays_away BEFORE UPDATE ON accounts WHEN OLD.email IS NULL BEGIN
  SELECT RAISE(ABORT, 'the account was deleted: nothing is written to it again');
END;

CREATE TABLE sessions (
  digest  TEXT    NOT NULL PRIMARY KEY,  -- who: SHA-256 of the token, which itself is kept nowhere
  account TEXT    NOT NULL REFERENCES accounts (id),
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- ending the sessions of one account, the oldest first
CREATE INDEX sessions_by_account ON sessions (account, expires);
-- cleaning: what is over
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- Wrong passwords, for the limits: one row for the account that was tried, one for the address that tried. Both are digests, so
-- that nobody's address is kept who mistyped it.
CREATE TABLE attempts (
  id   INTEGER PRIMARY KEY,  -- cleaning: what is too many
  whom TEXT    NOT NULL,
  at   INTEGER NOT NULL
) STRICT;

-- the limits: the latest attempts of one
CREATE INDEX attempts_by_whom ON attempts (whom, at);
-- cleaning: what is too old to count
CREATE INDEX attempts_by_age ON attempts (at);
