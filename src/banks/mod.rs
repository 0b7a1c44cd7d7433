//! Loaded banks (LRU), their versions on disk, and when to rebuild them.
