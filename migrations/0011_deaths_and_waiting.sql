-- An image whose work kills the process must not stop the line for ever: which images were in hand when the daemon died is known at
-- the next start, and an image that has killed it twice while nothing else was in hand is failed.

-- Set in the statement that begins an attempt and cleared in the one that ends it, however it ends. What is still set at a start was in
-- hand when the daemon before died.
ALTER TABLE inspections ADD COLUMN in_hand TEXT CHECK (in_hand IN ('with_others', 'alone'));

-- NULL for an image like any other. Otherwise it was in hand when the daemon died, and is tried alone: the number of deaths in a row
-- at which it was in hand alone.
ALTER TABLE inspections ADD COLUMN deaths INTEGER CHECK (deaths >= 0);

CREATE INDEX inspections_in_hand ON inspections (id) WHERE in_hand IS NOT NULL;
CREATE INDEX inspections_suspects ON inspections (deaths, seen_at) WHERE deaths IS NOT NULL;

-- The process that worked with this file last, and since which start of the machine it ran: when the machine went down with it, no
-- image is to blame.
CREATE TABLE last_run (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    run      TEXT NOT NULL,
    boot     TEXT NOT NULL
);

-- "Which image has waited longest for what?", asked every few seconds. Those that wait for a bank, often all of a product, are not in it.
CREATE INDEX inspections_waiting ON inspections (product, reason_code, seen_at) WHERE state = 'pending' AND reason_code <> 'no_bank';
