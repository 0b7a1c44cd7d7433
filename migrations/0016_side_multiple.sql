-- What both sides of the resized images of a bank are multiples of, in pixels. A transformer sees patches of 14 pixels; the networks of
-- earlier releases take any size.
ALTER TABLE banks ADD COLUMN side_multiple INTEGER NOT NULL DEFAULT 1;
