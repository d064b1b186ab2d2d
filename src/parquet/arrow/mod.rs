//! Parquet schema ⇄ Arrow schema.
