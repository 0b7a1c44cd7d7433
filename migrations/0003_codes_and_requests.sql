-- Three things that people who operate a line asked of the history: to count failures by a word instead of a sentence, to ask a
-- running daemon for a rebuild or a rollback, and a rollback that stays.

-- Why an image failed or waits, as one word of a fixed list (`patchcored explain` prints it); `reason` says it in a sentence. NULL
-- where there is nothing to say: of decided images, and of pending ones that only wait for their turn.
ALTER TABLE inspections ADD COLUMN reason_code TEXT;

-- What earlier versions wrote. `other` is only for sentences that are not known any more, and is never written again.
UPDATE inspections
SET reason_code = CASE
    WHEN reason IN ('no_bank', 'unrouted') THEN reason
    WHEN reason LIKE 'incomplete: its writer has not closed it%' THEN 'not_closed'
    WHEN reason LIKE 'incomplete: %' THEN 'incomplete'
    WHEN reason LIKE 'it was written to again%' THEN 'changing'
    WHEN reason LIKE 'same file as inspection %' THEN 'duplicate'
    WHEN reason LIKE 'waits for %, which does not answer' THEN 'folder_stuck'
    WHEN reason LIKE 'bank: %' THEN 'bank_unusable'
    WHEN reason LIKE '%check the share or the disk' OR reason LIKE '%mount the share again' OR reason LIKE 'its drop folder % cannot be read%'
        THEN 'share_trouble'
    WHEN reason LIKE 'cannot be read: No such file%' THEN 'file_gone'
    WHEN reason LIKE 'cannot be read: %' THEN 'unreadable'
    WHEN reason LIKE 'cannot write %No space left%' OR reason LIKE 'cannot write %quota%' THEN 'disk_full'
    WHEN reason LIKE 'cannot write %' THEN 'not_writable'
    WHEN reason LIKE 'the name of an output would have %' THEN 'name_too_long'
    WHEN reason LIKE 'is a symbolic link%' OR reason LIKE 'is not a regular file%' THEN 'not_a_file'
    WHEN reason LIKE 'is not a JPEG, PNG, BMP or TIFF%' THEN 'not_an_image'
    WHEN reason LIKE '%raise intake.max_megapixels%' THEN 'too_large'
    WHEN reason LIKE 'has width %' OR reason LIKE 'has height %' THEN 'wrong_size'
    WHEN reason LIKE 'has channels %' THEN 'wrong_channels'
    WHEN reason LIKE 'has %input.bit_depth%' THEN 'wrong_depth'
    WHEN reason LIKE '%cut the strip into images%' THEN 'too_elongated'
    WHEN reason LIKE '%; save it %' THEN 'unsupported_format'
    WHEN reason LIKE '%panicked on this image%' OR reason LIKE '%libtorch%' OR reason LIKE 'cannot extract features%' THEN 'engine'
    ELSE 'other'
END
WHERE reason IS NOT NULL;

-- Failures are rare; their index is small and counts them by code without a look at the table.
CREATE INDEX inspections_failures ON inspections (product, reason_code, decided_at) WHERE state = 'failed';

-- Set when a rollback put this bank back in use: the fingerprint of the ok folder at that moment ('' when it could not be listed).
-- As long as ok/ is like that, no bank is built from it: the one that was left was.
ALTER TABLE banks ADD COLUMN held_ok TEXT;

-- What people ask of the daemon with `patchcored rebuild` and `patchcored rollback`. A row stays pending until it is done, however
-- often the daemon is killed meanwhile.
CREATE TABLE requests (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL CHECK (at GLOB '????-??-??T??:??:??.???Z'),
    -- 'rebuild' or 'rollback'.
    kind    TEXT NOT NULL,
    product TEXT NOT NULL,
    -- The bank version that is to be in use after a rollback. Settled when it is asked for, so that doing it twice is doing it once.
    version INTEGER,
    state   TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    -- What became of it, in words.
    outcome TEXT,
    done_at TEXT CHECK (done_at GLOB '????-??-??T??:??:??.???Z'),
    CHECK ((state = 'pending') = (done_at IS NULL)),
    CHECK ((state = 'pending') = (outcome IS NULL)),
    CHECK (kind <> 'rollback' OR version IS NOT NULL)
);

-- The daemon looks for pending requests every half second.
CREATE INDEX requests_pending ON requests (id) WHERE state = 'pending';
