//! Tests of NDJSON as a log.
