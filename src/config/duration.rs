//! Durations as `500ms`, `30s`, `10m`, `24h`.
