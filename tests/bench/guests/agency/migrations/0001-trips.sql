CREATE TABLE trips (id TEXT PRIMARY KEY, plan TEXT NOT NULL) STRICT;
CREATE TABLE journal (
    trip TEXT NOT NULL,
    step TEXT NOT NULL,
    times INTEGER NOT NULL,
    UNIQUE (trip, step)
) STRICT;
