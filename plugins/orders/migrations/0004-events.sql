-- Orders that were sold before orders published events. `settle` publishes them, oldest first, and takes them out.
CREATE TABLE unpublished (order_id INTEGER PRIMARY KEY REFERENCES orders) STRICT;
INSERT INTO unpublished (order_id) SELECT DISTINCT order_id FROM purchases;
DROP TABLE purchases;
