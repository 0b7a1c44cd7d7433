//! A small synthetic line on this machine, end to end.
