-- What a bank changed for recent images of its product, judged again before it was used. NULL when nothing was compared.
ALTER TABLE banks ADD COLUMN compared_images INTEGER;
-- Of these: those that were ok and became ng …
ALTER TABLE banks ADD COLUMN compared_to_ng INTEGER;
-- … and those that were ng and became ok.
ALTER TABLE banks ADD COLUMN compared_to_ok INTEGER;

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
       b.compared_images,
       b.compared_to_ng,
       b.compared_to_ok,
       b.seconds,
       b.path,
       b.sha256,
       b.reason,
       b.warning
FROM banks AS b
ORDER BY b.product, b.id DESC;
