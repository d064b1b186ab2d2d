//! The table: a Delta Lake transaction log and what it means.
