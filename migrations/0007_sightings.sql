-- One part, one row: a file that is found again under another name or with another time is the same arrival, as `src/history/sightings.rs`
-- says. The row of a decided image does not change, so what it is called since and which time it has stands in a table of its own.

-- Which file it was, under whatever name: device and inode. NULL in older rows and where the file system gives no numbers.
ALTER TABLE inspections ADD COLUMN device INTEGER;
ALTER TABLE inspections ADD COLUMN inode INTEGER;

-- Who says that the file is whole: 0 nobody, it was only found; 1 its writer, who was seen to close it, to rename it or to set its marker;
-- 2 a person, who has had it tried again. A file with holes is decided only when somebody says so.
ALTER TABLE inspections ADD COLUMN said_whole INTEGER NOT NULL DEFAULT 0 CHECK (said_whole IN (0, 1, 2));

-- "Was this very file decided before?" Rows of older versions are not in it, so that making it takes no time.
CREATE INDEX inspections_inode ON inspections (inode, device) WHERE inode IS NOT NULL;

-- Where the image of a row was found later: after its time was set, it was moved or renamed. The newest is where it is now; a row without
-- any has its image where image_path says.
CREATE TABLE sightings (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    inspection_id  INTEGER NOT NULL REFERENCES inspections (id) ON DELETE CASCADE,
    image_path     TEXT NOT NULL,
    image_path_raw BLOB,
    file_size      INTEGER NOT NULL,
    mtime_ns       INTEGER NOT NULL,
    seen_at        TEXT NOT NULL CHECK (seen_at GLOB '????-??-??T??:??:??.???Z')
);

-- As inspections_arrival: a file that was sighted is known.
CREATE UNIQUE INDEX sightings_file ON sightings (image_path, file_size, mtime_ns, ifnull(image_path_raw, x''));

-- "Where is the image of this row now?"
CREATE INDEX sightings_inspection ON sightings (inspection_id);
