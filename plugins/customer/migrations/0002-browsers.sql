-- Browsers in which an account was signed in, so that guessing elsewhere does not shut its owner out.
CREATE TABLE browsers (
  account TEXT    NOT NULL REFERENCES accounts (id),
  digest  TEXT    NOT NULL,  -- SHA-256 of the key in the browser's cookie, which itself is kept nowhere
  at      INTEGER NOT NULL,  -- when it was last signed in
  PRIMARY KEY (account, digest)  -- sign-in-known: by account and key
) STRICT, WITHOUT ROWID;

-- remembering one more: the longest unused of an account
CREATE INDEX browsers_by_account ON browsers (account, at);
-- cleaning: what was unused too long
CREATE INDEX browsers_by_age ON browsers (at);
