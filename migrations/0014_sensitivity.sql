-- The thresholds of the bank were divided by this; image_tau and pixel_tau are what the image was compared with. 1.0 in all older rows.
ALTER TABLE inspections ADD COLUMN sensitivity REAL NOT NULL DEFAULT 1.0;

DROP VIEW defect_history;

-- Every defect, newest first, with how far it lies above the thresholds. Margins are in the unit of the scores, and NULL when the score
-- was not a number. A margin may be negative where `decide_by` looks at the mask. image_ratio is image_score / image_tau: it can be
-- compared across banks.
CREATE VIEW defect_history AS
SELECT i.id,
       i.decided_at,
       i.product,
       i.image_path,
       i.image_score,
       i.image_tau,
       i.image_score / nullif(i.image_tau, 0) AS image_ratio,
       i.image_score - i.image_tau AS image_margin,
       i.pixel_tau,
       i.image_score - i.pixel_tau AS pixel_margin,
       i.sensitivity,
       i.mask_pixels,
       i.mask_regions,
       i.mask_path,
       i.overlay_path,
       i.bank_id,
       b.version AS bank_version
FROM inspections AS i
LEFT JOIN banks AS b ON b.id = i.bank_id
WHERE i.decision = 'ng'
ORDER BY i.decided_at DESC, i.id DESC;
