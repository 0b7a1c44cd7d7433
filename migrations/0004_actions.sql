-- What follows a decision: the command that acts on a defect (on_ng), and the messages for an MQTT broker.
--
-- Both are written in the transaction that makes the inspection `done`, so that no crash can leave a decision without what follows
-- from it, nor the other way round. The database is the queue of both.

-- One row for each defect of a product with on_ng; it stays as the record of what was done about the part.
CREATE TABLE actions (
    -- In the order of the decisions.
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    inspection_id     INTEGER NOT NULL UNIQUE REFERENCES inspections (id) ON DELETE CASCADE,
    product           TEXT NOT NULL,
    -- pending      waits for its turn
    -- started      the command was, or was about to be, started; written before it is
    -- done         it ended with exit code 0
    -- failed       it could not be started, ended otherwise, or took too long
    -- expired      not run: the image was older than on_ng.max_age
    -- interrupted  the daemon died before the end of the command was recorded; not run again
    -- cancelled    not run: on_ng or the product was taken out of the configuration
    state             TEXT NOT NULL CHECK (state IN ('pending', 'started', 'done', 'failed', 'expired', 'interrupted', 'cancelled')),
    -- Why it is not done.
    reason            TEXT,
    -- When the image came, which its age is counted from: when it was first seen or, if that is earlier, last written.
    arrived_at        TEXT NOT NULL CHECK (arrived_at GLOB '????-??-??T??:??:??.???Z'),
    started_at        TEXT CHECK (started_at GLOB '????-??-??T??:??:??.???Z'),
    ended_at          TEXT CHECK (ended_at GLOB '????-??-??T??:??:??.???Z'),
    exit_code         INTEGER,
    signal            INTEGER,
    -- The end of what the command wrote there.
    stderr            TEXT,
    -- The names of mask and overlay where they are not UTF-8; else they are in inspections.
    mask_path_raw     BLOB,
    overlay_path_raw  BLOB,
    CHECK (state NOT IN ('pending', 'started') OR ended_at IS NULL),
    CHECK (state IN ('pending', 'started', 'done') OR reason IS NOT NULL)
);

-- "What is next for this product?", and how many ended in which way.
CREATE INDEX actions_queue ON actions (state, product, id);

-- One row for each message that the broker has not acknowledged yet; the message is made from the inspection when it is sent.
CREATE TABLE mqtt_outbox (
    -- In the order of the decisions. AUTOINCREMENT: a late acknowledgement never removes another message.
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    inspection_id INTEGER NOT NULL UNIQUE REFERENCES inspections (id) ON DELETE CASCADE
);

-- What was done about each defect, newest first.
CREATE VIEW action_history AS
SELECT a.id,
       a.inspection_id,
       a.product,
       i.image_path,
       i.decided_at,
       a.state,
       a.reason,
       a.arrived_at,
       a.started_at,
       a.ended_at,
       a.exit_code,
       a.signal,
       a.stderr
FROM actions AS a
JOIN inspections AS i ON i.id = a.inspection_id
ORDER BY a.id DESC;
