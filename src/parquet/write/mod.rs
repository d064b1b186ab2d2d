//! Batches → row group → column chunk → page → bytes.
