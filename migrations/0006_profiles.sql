-- Which products the line was set up for, and when: an analyst who wonders why a shift has no images of a product should find the
-- change-over here, and the daemon must know after a power cut what it was set up for.

CREATE TABLE profile_changes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    profile      TEXT NOT NULL,
    asked_at     TEXT NOT NULL CHECK (asked_at GLOB '????-??-??T??:??:??.???Z'),
    -- From here on new images were taken for the products of this profile. NULL until the daemon has changed over.
    in_use_since TEXT CHECK (in_use_since GLOB '????-??-??T??:??:??.???Z')
);
