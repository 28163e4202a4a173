-- Taking money: one payment for each order, in the stage that `domain/stages.rs` allows.
CREATE TABLE payments (
  number     TEXT    NOT NULL PRIMARY KEY,  -- every function: the order's number
  stage      TEXT    NOT NULL CHECK (stage IN ('unknown', 'authorised', 'captured', 'voided', 'declined')),
  amount     INTEGER NOT NULL CHECK (amount > 0),
  currency   TEXT    NOT NULL,
  refunded   INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= amount),
  card       TEXT    NOT NULL CHECK (length(card) = 4),  -- the last four digits: no more of a card is kept
  customer   TEXT    NOT NULL,
  lines      TEXT    NOT NULL,  -- JSON, for the invoice: [{"sku": "A-1", "quantity": 1, "price": 1299}]
  shipping   INTEGER NOT NULL CHECK (shipping >= 0 AND shipping <= amount),
  authorised INTEGER NOT NULL,  -- when; also when it was declined
  voided     INTEGER,           -- when
  captured   INTEGER,           -- when
  invoice    INTEGER UNIQUE,    -- the next invoice's number: after the last one
  CHECK ((stage = 'voided') = (voided IS NOT NULL)),
  CHECK ((stage = 'captured') = (captured IS NOT NULL) AND (stage = 'captured') = (invoice IS NOT NULL)),
  CHECK (refunded = 0 OR stage = 'captured')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER payments_are_never_deleted BEFORE DELETE ON payments BEGIN
  SELECT RAISE(ABORT, 'a payment is never deleted');
END;

-- REPLACE would delete without a word to the trigger above.
CREATE TRIGGER payments_are_never_replaced BEFORE INSERT ON payments
WHEN EXISTS (SELECT 1 FROM payments WHERE number = NEW.number) BEGIN
  SELECT RAISE(ABORT, 'the order has a payment');
END;

CREATE TRIGGER payments_go_forward BEFORE UPDATE OF stage ON payments
WHEN OLD.stage <> NEW.stage AND (OLD.stage, NEW.stage) NOT IN (VALUES
  ('declined', 'unknown'), ('declined', 'authorised'), ('declined', 'voided'),
  ('unknown', 'voided'), ('authorised', 'voided'), ('authorised', 'captured')) BEGIN
  SELECT RAISE(ABORT, 'a payment does not go from this stage to that');
END;

CREATE TRIGGER captured_payments_stay BEFORE UPDATE ON payments
WHEN OLD.stage = 'captured'
  AND (NEW.refunded < OLD.refunded
    OR (OLD.number, OLD.amount, OLD.currency, OLD.card, OLD.customer, OLD.lines, OLD.shipping, OLD.captured, OLD.invoice)
    IS NOT (NEW.number, NEW.amount, NEW.currency, NEW.card, NEW.customer, NEW.lines, NEW.shipping, NEW.captured, NEW.invoice)) BEGIN
  SELECT RAISE(ABORT, 'an invoice is never changed, and what was given back stays given back');
END;

-- Orders that were voided before they had a payment: an authorisation which arrives later is refused.
CREATE TABLE marks (
  number TEXT    NOT NULL PRIMARY KEY,  -- every function: the order's number
  at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was asked under a key, and what was answered.
CREATE TABLE keys (
  key         TEXT    NOT NULL PRIMARY KEY,  -- every change: by key
  fingerprint TEXT    NOT NULL,  -- SHA-256 of the function and its arguments; of the card the last four digits, never its number or code
  answer      TEXT    NOT NULL,  -- JSON
  at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The journal. Its entries are numbered without a gap, sum to zero, and are never changed. A debit is positive, a credit negative.
CREATE TABLE entries (
  id       INTEGER PRIMARY KEY,  -- statement: by id; trial balance: the last one
  at       INTEGER NOT NULL CHECK (at >= 0),
  number   TEXT    NOT NULL,     -- the order's
  text     TEXT    NOT NULL,
  currency TEXT    NOT NULL CHECK (length(currency) = 3),
  lines    TEXT    NOT NULL      -- JSON, what `lines` is made of: [["receivable", "C-1", 1299], ["sales", null, -1299]]
) STRICT;

CREATE TABLE lines (
  entry    INTEGER NOT NULL REFERENCES entries (id),
  position INTEGER NOT NULL,
  account  TEXT    NOT NULL CHECK (account IN ('card-clearing', 'receivable', 'sales', 'shipping', 'refunds')),
  customer TEXT             CHECK ((customer IS NOT NULL) = (account = 'receivable')),
  amount   INTEGER NOT NULL CHECK (amount <> 0),
  currency TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (entry, position)
) STRICT, WITHOUT ROWID;

-- statement: what one customer owes, newest first
CREATE INDEX lines_by_customer ON lines (customer, at DESC, entry DESC, position DESC) WHERE customer IS NOT NULL;

-- What the lines come to, kept by a trigger: a trial balance does not read all of them.
CREATE TABLE totals (
  account  TEXT    NOT NULL,
  currency TEXT    NOT NULL,
  debit    INTEGER NOT NULL,
  credit   INTEGER NOT NULL,
  PRIMARY KEY (account, currency)  -- trial balance: all of it, in this order
) STRICT, WITHOUT ROWID;

-- What each customer owes, kept by the same trigger.
CREATE TABLE balances (
  customer TEXT    NOT NULL,
  currency TEXT    NOT NULL,
  balance  INTEGER NOT NULL,
  PRIMARY KEY (customer, currency)  -- statement: one customer's
) STRICT, WITHOUT ROWID;

-- REPLACE would delete without a word to the triggers that refuse it.
CREATE TRIGGER entries_are_never_replaced BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE id = NEW.id) BEGIN
  SELECT RAISE(ABORT, 'an entry is never replaced');
END;

CREATE TRIGGER entries_balance AFTER INSERT ON entries BEGIN
  SELECT RAISE(ABORT, 'entries are numbered from 1 without a gap')
    WHERE NEW.id <> coalesce((SELECT max(id) FROM entries WHERE id < NEW.id), 0) + 1;
  SELECT RAISE(ABORT, 'an entry has two lines or more and sums to zero')
    FROM (SELECT count(*) AS lines, sum(value ->> 2) AS sum FROM json_each(NEW.lines)) WHERE lines < 2 OR sum IS NOT 0;
  INSERT INTO lines (entry, position, account, customer, amount, currency, at)
    SELECT NEW.id, key, value ->> 0, value ->> 1, value ->> 2, NEW.currency, NEW.at FROM json_each(NEW.lines);
END;

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries BEGIN
  SELECT RAISE(ABORT, 'an entry is never changed: book another one');
END;

CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries BEGIN
  SELECT RAISE(ABORT, 'an entry is never deleted: book another one');
END;

-- A line that its entry does not hold would unbalance the books, and so would one that replaces another.
CREATE TRIGGER lines_belong_to_entries BEFORE INSERT ON lines
WHEN EXISTS (SELECT 1 FROM lines WHERE entry = NEW.entry AND position = NEW.position)
  OR NOT EXISTS (
    SELECT 1 FROM (SELECT at, currency, lines -> NEW.position AS line FROM entries WHERE id = NEW.entry)
    WHERE at = NEW.at AND currency = NEW.currency
      AND line ->> 0 = NEW.account AND line ->> 1 IS NEW.customer AND line ->> 2 = NEW.amount) BEGIN
  SELECT RAISE(ABORT, 'a line is written by its entry alone');
END;

CREATE TRIGGER lines_are_counted AFTER INSERT ON lines BEGIN
  INSERT INTO totals (account, currency, debit, credit)
    VALUES (NEW.account, NEW.currency, max(NEW.amount, 0), max(-NEW.amount, 0))
    ON CONFLICT (account, currency) DO UPDATE SET debit = debit + excluded.debit, credit = credit + excluded.credit;
  INSERT INTO balances (customer, currency, balance)
    SELECT NEW.customer, NEW.currency, NEW.amount WHERE NEW.customer IS NOT NULL
    ON CONFLICT (customer, currency) DO UPDATE SET balance = balance + excluded.balance;
END;

CREATE TRIGGER lines_are_never_changed BEFORE UPDATE ON lines BEGIN
  SELECT RAISE(ABORT, 'a line is never changed: book another entry');
END;

CREATE TRIGGER lines_are_never_deleted BEFORE DELETE ON lines BEGIN
  SELECT RAISE(ABORT, 'a line is never deleted: book another entry');
END;
