//! Records with offsets.
