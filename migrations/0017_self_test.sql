-- Which planted defects a bank found after its build, one sentence per line. NULL when it was not tried.
ALTER TABLE banks ADD COLUMN self_test TEXT;

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
       b.self_test,
       b.seconds,
       b.path,
       b.sha256,
       b.reason,
       b.warning
FROM banks AS b
ORDER BY b.product, b.id DESC;
