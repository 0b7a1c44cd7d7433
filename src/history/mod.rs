//! The SQLite history. The only place that names sqlx.
