-- The copies of an album in stock are those that its last movement left there.
SELECT level.sku, level.on_hand AS stock, moved.on_hand AS "after the last movement"
FROM levels AS level JOIN movements AS moved ON moved.id = (SELECT max(id) FROM movements WHERE sku = level.sku)
WHERE moved.on_hand <> level.on_hand
