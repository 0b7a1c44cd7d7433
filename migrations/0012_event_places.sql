-- What an event is about, where that is a folder or a broker: so far it was only in its text.
ALTER TABLE events ADD COLUMN place TEXT;
