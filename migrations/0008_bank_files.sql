-- The three files of a bank lie where people can change them, and a threshold that somebody edits changes what passes. What judged a
-- part must be in the history, so a row names the bytes of all three files and all that the daemon needs to put the bank in use.
-- NULL in rows of earlier versions until their bank comes into use again.

-- SHA-256 of bank_config.json and of tau.json, hexadecimal; `sha256` is that of memory_bank.pt.
ALTER TABLE banks ADD COLUMN config_sha256 TEXT;
ALTER TABLE banks ADD COLUMN tau_sha256 TEXT;
-- Short side that images are resized to, pixels.
ALTER TABLE banks ADD COLUMN shorter INTEGER;
-- What the ok folder was like when the bank was built from it.
ALTER TABLE banks ADD COLUMN ok_fingerprint TEXT;

-- A version whose tau.json was edited has a row for each edit.
DROP INDEX banks_published;
CREATE INDEX banks_published ON banks (product, version, sha256) WHERE state <> 'failed';
