//! The serde shapes of the YAML file.
