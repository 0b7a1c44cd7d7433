//! Path → product. Pure: no I/O.
