-- Times in rows are UTC. People count by the day and the shift of the plant: what `time_zone:` and `shifts:` of the configuration say is
-- written here at each start and reload, and the views use it, for old rows too.

-- From `since` on the clock at the plant is so many seconds ahead of UTC; the first row holds for all times before it too.
CREATE TABLE local_offsets (
    since   TEXT PRIMARY KEY CHECK (since GLOB '????-??-??T??:??:??.???Z'),
    seconds INTEGER NOT NULL
);

-- A shift begins so many minutes after local midnight and lasts until the next one begins.
CREATE TABLE shifts (
    name         TEXT PRIMARY KEY,
    begin_minute INTEGER NOT NULL UNIQUE CHECK (begin_minute BETWEEN 0 AND 1439)
);

-- When each inspection was decided or given up, by the clock at the plant ('2026-11-23 17:42:00').
CREATE VIEW local_times AS
SELECT id,
       datetime(decided_at, coalesce(
           (SELECT seconds FROM local_offsets WHERE since <= decided_at ORDER BY since DESC LIMIT 1),
           (SELECT seconds FROM local_offsets ORDER BY since LIMIT 1),
           0) || ' seconds') AS decided_local
FROM inspections
WHERE decided_at IS NOT NULL;

-- As daily_yield, by the day of the plant.
CREATE VIEW local_daily_yield AS
SELECT i.product,
       date(t.decided_local) AS day,
       count(CASE WHEN i.decision = 'ok' THEN 1 END) AS ok,
       count(CASE WHEN i.decision = 'ng' THEN 1 END) AS ng,
       count(CASE WHEN i.state = 'failed' THEN 1 END) AS failed,
       avg(CASE i.decision WHEN 'ng' THEN 1.0 WHEN 'ok' THEN 0.0 END) AS ng_rate
FROM inspections AS i
JOIN local_times AS t ON t.id = i.id
GROUP BY i.product, date(t.decided_local);

-- The same by shift, if the configuration has shifts. `day` is the day on which the shift began: of a night shift the evening's.
CREATE VIEW yield_by_shift AS
SELECT i.product,
       date(t.decided_local, '-' || (SELECT min(begin_minute) FROM shifts) || ' minutes') AS day,
       coalesce(
           (SELECT name FROM shifts
            WHERE begin_minute <= 60 * strftime('%H', t.decided_local) + strftime('%M', t.decided_local)
            ORDER BY begin_minute DESC LIMIT 1),
           (SELECT name FROM shifts ORDER BY begin_minute DESC LIMIT 1)) AS shift,
       count(CASE WHEN i.decision = 'ok' THEN 1 END) AS ok,
       count(CASE WHEN i.decision = 'ng' THEN 1 END) AS ng,
       count(CASE WHEN i.state = 'failed' THEN 1 END) AS failed,
       avg(CASE i.decision WHEN 'ng' THEN 1.0 WHEN 'ok' THEN 0.0 END) AS ng_rate
FROM inspections AS i
JOIN local_times AS t ON t.id = i.id
WHERE EXISTS (SELECT 1 FROM shifts)
GROUP BY i.product, 2, 3;
