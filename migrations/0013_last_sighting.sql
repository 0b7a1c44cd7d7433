-- "Which image was moved to this path last?" One look-up, also where a camera gives every image the same name.
CREATE INDEX sightings_path ON sightings (image_path, id);
