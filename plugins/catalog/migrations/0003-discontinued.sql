-- discontinued: in the order of their SKUs
CREATE INDEX albums_discontinued ON albums (sku) WHERE discontinued = 1;
