-- The order that a card's token was used for: it can pay for no other one. A token is no card, and no secret.
CREATE TABLE tokens (
  token  TEXT NOT NULL PRIMARY KEY,  -- authorise-kept: by token
  number TEXT NOT NULL
) STRICT, WITHOUT ROWID;
