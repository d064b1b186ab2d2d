//! Expressions over columns, evaluated over Arrow rows and over bounds.
