-- Files do not stay for ever, rows do: an analyst must see which files of a row are still there, and when the others were deleted.
--
-- Until now a row named the mask and the overlay alone. Retention deletes nothing that the history does not know, so the row names
-- every output from here on; those of older rows that it does not name are left where they are.

ALTER TABLE inspections ADD COLUMN heat_path TEXT;
ALTER TABLE inspections ADD COLUMN side_by_side_path TEXT;
ALTER TABLE inspections ADD COLUMN scores_path TEXT;

-- When retention deleted the outputs (or found that they were gone, or that a later image had replaced them). The paths stay as recorded.
ALTER TABLE inspections ADD COLUMN outputs_deleted_at TEXT CHECK (outputs_deleted_at GLOB '????-??-??T??:??:??.???Z');

-- The same of the image itself.
ALTER TABLE inspections ADD COLUMN image_deleted_at TEXT CHECK (image_deleted_at GLOB '????-??-??T??:??:??.???Z');

-- "The oldest outputs of a product that are still there": a row leaves the index when they are deleted, so that a look costs the
-- same in a history of millions. A row without outputs is never in it.
CREATE INDEX inspections_outputs_kept ON inspections (product, decision, decided_at)
    WHERE state = 'done' AND outputs_deleted_at IS NULL
      AND (mask_path IS NOT NULL OR overlay_path IS NOT NULL OR heat_path IS NOT NULL
           OR side_by_side_path IS NOT NULL OR scores_path IS NOT NULL);

-- The same for images.
CREATE INDEX inspections_image_kept ON inspections (product, decision, decided_at)
    WHERE state = 'done' AND image_deleted_at IS NULL;
