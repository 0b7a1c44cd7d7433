-- The history of a line: every image that arrived, every bank that judged it, and what happened to the daemon.
--
-- People read this file with whatever sqlite3 their system has; Rocky Linux 8 ships 3.26. The schema therefore keeps to what
-- 3.26 can open: no STRICT tables, no generated columns. CHECK constraints stand in for strictness.
--
-- Every time is UTC, ISO 8601 with milliseconds ('2026-11-23T08:42:00.123Z'), so that text order is time order and
-- strftime('%Y-%m-%dT%H:%M:%fZ', …) compares with it.

CREATE TABLE banks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    product    TEXT NOT NULL,
    -- The folder versions/NNNNNN of the product's bank. A failed build may have died before it had one.
    version    INTEGER,
    created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    -- What set the build off, in words.
    trigger    TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'superseded', 'failed', 'rolled_back')),
    images     INTEGER,
    patches    INTEGER,
    rows       INTEGER,
    pixel_tau  REAL,
    image_tau  REAL,
    seconds    REAL,
    path       TEXT,
    sha256     TEXT,
    -- Why the build failed or was refused.
    reason     TEXT,
    CHECK (state = 'failed' OR (version IS NOT NULL AND image_tau IS NOT NULL AND pixel_tau IS NOT NULL AND sha256 IS NOT NULL)),
    CHECK (state <> 'failed' OR reason IS NOT NULL)
);

-- Publishing again after a crash must find the row it wrote. The hash belongs to the key because version numbers start again
-- at 1 when somebody empties a bank folder, and the old row is still what old inspections were judged by.
CREATE UNIQUE INDEX banks_published ON banks (product, version, sha256) WHERE state <> 'failed';

-- A product is judged by one bank at a time.
CREATE UNIQUE INDEX banks_active ON banks (product) WHERE state = 'active';

CREATE TABLE inspections (
    -- AUTOINCREMENT: an id that was quoted in a report never comes to mean another image, even after old rows are deleted.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL only when no routing rule took the image; it is then failed as 'unrouted'.
    product        TEXT,
    -- A name that is not UTF-8 is shown with its odd bytes as \xHH; the bytes themselves are then in image_path_raw.
    image_path     TEXT NOT NULL,
    image_path_raw BLOB,
    file_size      INTEGER NOT NULL CHECK (file_size >= 0),
    mtime_ns       INTEGER NOT NULL,
    content_hash   TEXT,
    state          TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    -- Why it is pending ('no_bank', 'incomplete: …') or failed ('unrouted', …).
    reason         TEXT,
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    seen_at        TEXT NOT NULL CHECK (seen_at GLOB '????-??-??T??:??:??.???Z'),
    -- When the last attempt began. Cleared when the file changes under a running attempt, whose result then does not count.
    started_at     TEXT CHECK (started_at GLOB '????-??-??T??:??:??.???Z'),
    -- A pending row is not tried before this; NULL means now.
    retry_at       TEXT CHECK (retry_at GLOB '????-??-??T??:??:??.???Z'),
    -- A file still incomplete at this time is failed.
    give_up_at     TEXT NOT NULL CHECK (give_up_at GLOB '????-??-??T??:??:??.???Z'),
    decided_at     TEXT CHECK (decided_at GLOB '????-??-??T??:??:??.???Z'),
    bank_id        INTEGER REFERENCES banks (id),
    -- NULL in a done row: the score was not a number, and the decision is ng.
    image_score    REAL,
    image_tau      REAL,
    pixel_tau      REAL,
    mask_pixels    INTEGER,
    mask_regions   INTEGER,
    decision       TEXT CHECK (decision IN ('ok', 'ng')),
    mask_path      TEXT,
    overlay_path   TEXT,
    decode_ms      REAL,
    engine_ms      REAL,
    write_ms       REAL,
    CHECK (product IS NOT NULL OR state = 'failed'),
    CHECK ((state = 'done') = (decision IS NOT NULL)),
    CHECK ((state = 'pending') = (decided_at IS NULL)),
    CHECK (state <> 'failed' OR reason IS NOT NULL),
    -- A part never passes without a score.
    CHECK (decision IS NOT 'ok' OR image_score IS NOT NULL)
);

-- The key of an arrival: the same path with another size or time is another image. The raw bytes come last, so that the index
-- also finds rows by path; ifnull because NULLs are never equal in a unique index.
CREATE UNIQUE INDEX inspections_arrival ON inspections (image_path, file_size, mtime_ns, ifnull(image_path_raw, x''));

-- A file that is still being written has one pending row, which follows its size and time.
CREATE UNIQUE INDEX inspections_pending_path ON inspections (image_path, ifnull(image_path_raw, x'')) WHERE state = 'pending';

-- The dispatcher asks for the oldest due image of a product, many times a second; it holds pending rows only and so stays small.
CREATE INDEX inspections_queue ON inspections (product, seen_at, retry_at, reason) WHERE state = 'pending';

-- Counts and yield per product without touching the table.
CREATE INDEX inspections_yield ON inspections (product, state, decision, decided_at);

-- "What came in since …" and "what was decided since …".
CREATE INDEX inspections_seen ON inspections (seen_at);
CREATE INDEX inspections_decided ON inspections (decided_at);

-- Defects are rare; their index is small and keeps defect_history quick in a file of millions.
CREATE INDEX inspections_defects ON inspections (decided_at) WHERE decision = 'ng';

-- Questions about one bank, and the foreign key.
CREATE INDEX inspections_bank ON inspections (bank_id);

CREATE TABLE events (
    at      TEXT NOT NULL CHECK (at GLOB '????-??-??T??:??:??.???Z'),
    level   TEXT NOT NULL CHECK (level IN ('info', 'warn', 'error')),
    -- One word to count by: overflow, unmount, reload, disk_full, …
    kind    TEXT NOT NULL,
    product TEXT,
    detail  TEXT NOT NULL
);

CREATE INDEX events_at ON events (at);

-- Every defect, newest first, with how far it lies above the thresholds. Margins are in the unit of the scores, and NULL when
-- the score was not a number. A margin may be negative where `decide_by` looks at the mask.
CREATE VIEW defect_history AS
SELECT i.id,
       i.decided_at,
       i.product,
       i.image_path,
       i.image_score,
       i.image_tau,
       i.image_score - i.image_tau AS image_margin,
       i.pixel_tau,
       i.image_score - i.pixel_tau AS pixel_margin,
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

-- One row per product and UTC day of the decision. ng_rate is the share of decided images, NULL when all of them failed.
CREATE VIEW daily_yield AS
SELECT product,
       substr(decided_at, 1, 10) AS day,
       count(CASE WHEN decision = 'ok' THEN 1 END) AS ok,
       count(CASE WHEN decision = 'ng' THEN 1 END) AS ng,
       count(CASE WHEN state = 'failed' THEN 1 END) AS failed,
       avg(CASE decision WHEN 'ng' THEN 1.0 WHEN 'ok' THEN 0.0 END) AS ng_rate
FROM inspections
WHERE state IN ('done', 'failed')
GROUP BY product, substr(decided_at, 1, 10);

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
       b.seconds,
       b.path,
       b.sha256,
       b.reason
FROM banks AS b
ORDER BY b.product, b.id DESC;
