-- The wall clock is set now and then: by NTP after a start with an empty battery, by hand, by a file server that joins a domain. Rows
-- keep the wall clock's time, since people read it; how old a row is, is told with what is written here.

-- Each time the wall clock jumped. A row with a time from before counts shift_ms later.
CREATE TABLE clock_jumps (
    id          INTEGER PRIMARY KEY,
    -- The last time that the clock can have shown before the jump.
    wall_before TEXT NOT NULL CHECK (wall_before GLOB '????-??-??T??:??:??.???Z'),
    -- The first time that it can have shown after it.
    wall_after  TEXT NOT NULL CHECK (wall_after GLOB '????-??-??T??:??:??.???Z'),
    shift_ms    INTEGER NOT NULL,
    -- 1: the time since the start of the computer shows it. 0: the computer was started anew meanwhile, so that nothing tells how much
    -- time has passed.
    witnessed   INTEGER NOT NULL CHECK (witnessed IN (0, 1))
);

-- When the daemon last ran: the wall clock, and what shows at the next start whether that clock was set since. One row.
CREATE TABLE clock_stamp (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    wall          TEXT NOT NULL CHECK (wall GLOB '????-??-??T??:??:??.???Z'),
    -- /proc/sys/kernel/random/boot_id: another one after each start of the computer.
    boot_id       TEXT NOT NULL,
    since_boot_ms INTEGER NOT NULL
);

-- The latest modification time among the outputs of the row, ns since 1970, as their file system told it when they were written. A file
-- of the same name that was modified later is another file, and no retention deletes it on account of this row.
ALTER TABLE inspections ADD COLUMN outputs_newest_ns INTEGER;
