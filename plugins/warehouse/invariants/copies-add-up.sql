-- Of every album, the copies in stock, reserved and shipped are those received, and none of them is negative.
SELECT sku, on_hand AS stock, reserved, shipped, received FROM levels
WHERE on_hand + reserved + shipped <> received OR min(on_hand, reserved, shipped) < 0
