-- Sessions of operators end after some hours of rest, and money asks for the password again. 0: long ago.
ALTER TABLE sessions ADD COLUMN proved INTEGER NOT NULL DEFAULT 0;  -- when its owner typed the password last
ALTER TABLE sessions ADD COLUMN used   INTEGER NOT NULL DEFAULT 0;  -- when it was used last, to within minutes
