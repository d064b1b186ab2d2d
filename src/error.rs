//! The one error of the crate: who must act, and where it went wrong.
//!
//! A kind names who can mend it: [`Error::Io`] the machine, [`Error::Corrupt`] whoever wrote the bytes,
//! [`Error::Unsupported`] this crate, [`Error::Invalid`] the caller, [`Error::Conflict`] nobody (another
//! writer won: read again, then retry), [`Error::Limit`] the caller, by a larger budget.
//!
//! The place is filled in on the way up: the decoder that finds the fault knows the byte, its caller the
//! page, the next one the column, the outermost the file. A part that is already known is never overwritten,
//! so the innermost, most exact one stays.

use std::fmt;

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by who must act. Each kind carries the same [`Report`].
///
/// `Display` gives one line: the place, then the message (`trips.parquet: column fare, page 3 at byte 81920: …`).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The machine refused: a disk, a permission, a network.
    Io(Box<Report>),
    /// The bytes break their format; the file's writer (or the medium) is at fault.
    Corrupt(Box<Report>),
    /// Valid input that this crate does not handle yet.
    Unsupported(Box<Report>),
    /// The caller asked for something that cannot be: an unknown column, options that contradict each other.
    Invalid(Box<Report>),
    /// Another writer committed first, or owns what this one believed its own.
    Conflict(Box<Report>),
    /// A bound was reached: memory, nesting depth, a page's size. Raise the bound to go on.
    Limit(Box<Report>),
}

/// The message, the place and the cause of an [`Error`].
#[derive(Debug)]
pub struct Report {
    message: String,
    place: Place,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Where an error was found; each part is there when known.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's path, or the table's folder.
    pub file: Option<String>,
    /// Byte position in that file.
    pub byte: Option<u64>,
    /// Dotted path of the column.
    pub column: Option<String>,
    /// Number of the page in its column chunk, from 0; the dictionary page is not counted.
    pub page: Option<u64>,
    /// Version of the table's log.
    pub version: Option<u64>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Error {
            Error::$kind(Box::new(Report { message: message.into(), place: Place::default(), source: None }))
        })*
    };
}

impl Error {
    constructors! {
        /// An [`Error::Io`] without a cause from the system; see also `From<std::io::Error>`.
        io => Io;
        /// An [`Error::Corrupt`].
        corrupt => Corrupt;
        /// An [`Error::Unsupported`].
        unsupported => Unsupported;
        /// An [`Error::Invalid`].
        invalid => Invalid;
        /// An [`Error::Conflict`].
        conflict => Conflict;
        /// An [`Error::Limit`].
        limit => Limit;
    }

    /// The same error with the file named, unless one is named already.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Error {
        self.report_mut().place.file.get_or_insert_with(|| file.into());
        self
    }

    /// The same error with its byte position, unless one is known already.
    #[must_use]
    pub fn at_byte(mut self, byte: u64) -> Error {
        self.report_mut().place.byte.get_or_insert(byte);
        self
    }

    /// The same error with the column named, unless one is named already.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Error {
        self.report_mut().place.column.get_or_insert_with(|| column.into());
        self
    }

    /// The same error with the page's number in its chunk, unless one is known already.
    #[must_use]
    pub fn in_page(mut self, page: u64) -> Error {
        self.report_mut().place.page.get_or_insert(page);
        self
    }

    /// The same error with the table's version, unless one is known already.
    #[must_use]
    pub fn in_version(mut self, version: u64) -> Error {
        self.report_mut().place.version.get_or_insert(version);
        self
    }

    /// The same error with its cause, for [`std::error::Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.report_mut().source = Some(source.into());
        self
    }

    /// Where it was found.
    pub fn place(&self) -> &Place {
        &self.report().place
    }

    /// What went wrong, without the place.
    pub fn message(&self) -> &str {
        &self.report().message
    }

    /// The kind as a word: `io`, `corrupt`, `unsupported`, `invalid`, `conflict` or `limit`.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Io(_) => "io",
            Error::Corrupt(_) => "corrupt",
            Error::Unsupported(_) => "unsupported",
            Error::Invalid(_) => "invalid",
            Error::Conflict(_) => "conflict",
            Error::Limit(_) => "limit",
        }
    }

    fn report(&self) -> &Report {
        match self {
            Error::Io(r)
            | Error::Corrupt(r)
            | Error::Unsupported(r)
            | Error::Invalid(r)
            | Error::Conflict(r)
            | Error::Limit(r) => r,
        }
    }

    fn report_mut(&mut self) -> &mut Report {
        match self {
            Error::Io(r)
            | Error::Corrupt(r)
            | Error::Unsupported(r)
            | Error::Invalid(r)
            | Error::Conflict(r)
            | Error::Limit(r) => r,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        let place = &report.place;
        if let Some(file) = &place.file {
            write!(f, "{file}: ")?;
        }
        let mut parts = Vec::new();
        if let Some(version) = place.version {
            parts.push(format!("version {version}"));
        }
        if let Some(column) = &place.column {
            parts.push(format!("column {column}"));
        }
        match (place.page, place.byte) {
            (Some(page), Some(byte)) => parts.push(format!("page {page} at byte {byte}")),
            (Some(page), None) => parts.push(format!("page {page}")),
            (None, Some(byte)) => parts.push(format!("at byte {byte}")),
            (None, None) => {}
        }
        if !parts.is_empty() {
            write!(f, "{}: ", parts.join(", "))?;
        }
        f.write_str(&report.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.report().source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Error {
        Error::io(e.to_string()).with_source(e)
    }
}

/// Arrow's own kernels and builders fail on the caller's schema or sizes, not on input bytes.
impl From<arrow_schema::ArrowError> for Error {
    fn from(e: arrow_schema::ArrowError) -> Error {
        Error::invalid(e.to_string()).with_source(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_whole_place() {
        let e = Error::corrupt("page wants 4096 bytes, 12 are left")
            .at_byte(81_920)
            .in_page(3)
            .in_column("fare")
            .in_file("trips.parquet");
        assert_eq!(
            e.to_string(),
            "trips.parquet: column fare, page 3 at byte 81920: page wants 4096 bytes, 12 are left"
        );
    }

    #[test]
    fn the_innermost_place_stays() {
        let e = Error::corrupt("x").at_byte(7).at_byte(0).in_column("a").in_column("b");
        assert_eq!(e.place().byte, Some(7));
        assert_eq!(e.place().column.as_deref(), Some("a"));
    }

    #[test]
    fn the_cause_is_kept() {
        let e = Error::from(std::io::Error::other("disk on fire"));
        assert!(matches!(e, Error::Io(_)));
        assert_eq!(std::error::Error::source(&e).map(ToString::to_string), Some("disk on fire".into()));
    }
}
