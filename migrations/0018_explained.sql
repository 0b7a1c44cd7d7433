-- What decided: `image` (the score, compared with image_tau), `mask` (its mask is empty or not), or `both`, where `decide_by: either` looks at
-- both and they agree. NULL in older rows and in rows without a decision.
ALTER TABLE inspections ADD COLUMN decided_by TEXT CHECK (decided_by IN ('image', 'mask', 'both'));

DROP VIEW defect_history;

-- Every defect, newest first, with how far it lies above the thresholds. Margins are in the unit of the scores, and NULL when the score
-- was not a number. A margin may be negative where the mask decided. image_ratio is image_score / image_tau: it can be compared across banks.
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
       b.version AS bank_version,
       i.decided_by
FROM inspections AS i
LEFT JOIN banks AS b ON b.id = i.bank_id
WHERE i.decision = 'ng'
ORDER BY i.decided_at DESC, i.id DESC;

-- What the daemon does about the bank of a product right now; no row: nothing. `patchcored status` shows it while the daemon runs.
CREATE TABLE bank_work (
    product TEXT PRIMARY KEY,
    -- waits_for_images: the ok folder has `done` images of the `total` that a first bank needs; waits_for_turn: another product's bank is
    -- built first; builds: `done` of `total` hundredths are done, roughly.
    step    TEXT NOT NULL CHECK (step IN ('waits_for_images', 'waits_for_turn', 'builds')),
    since   TEXT NOT NULL CHECK (since GLOB '????-??-??T??:??:??.???Z'),
    done    INTEGER,
    total   INTEGER
);
