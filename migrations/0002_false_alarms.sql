-- What image_tau promises, beside it: an analyst who sees too many NG parts should find in the same row whether the bank had
-- enough OK images for the percentile that was asked for.

-- Good parts of 1000 that the bank will reject by their score, to be expected. NULL when tau was not measured on held-out images.
ALTER TABLE banks ADD COLUMN expected_false_alarms REAL;
-- The same: with 95 % confidence not more than this.
ALTER TABLE banks ADD COLUMN false_alarms_bound REAL;
-- Why tau may not do what was asked for; NULL when there is nothing to say.
ALTER TABLE banks ADD COLUMN warning TEXT;

DROP VIEW bank_history;

-- Every build, newest first per product; image_tau_change is against the bank published before it.
CREATE VIEW bank_history AS
SELECT b.id,
       b.product,
       b.version,
       b.created_at,
       b.trigger,
       b.state,
       b.images,
       b.patches,
       b.rows,
       b.pixel_tau,
       b.image_tau,
       b.image_tau - (SELECT p.image_tau FROM banks AS p
                      WHERE p.product = b.product AND p.id < b.id AND p.state <> 'failed'
                      ORDER BY p.id DESC LIMIT 1) AS image_tau_change,
       b.expected_false_alarms,
       b.false_alarms_bound,
       b.seconds,
       b.path,
       b.sha256,
       b.reason,
       b.warning
FROM banks AS b
ORDER BY b.product, b.id DESC;
