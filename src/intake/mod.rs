//! How files become arrivals: inotify hints, scans as the truth, settling.
