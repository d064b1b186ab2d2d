//! Log → table, exactly once, by event time.
