//! Errors on their way through DataFusion and back.

use datafusion::error::DataFusionError;

use crate::error::Error;

impl From<Error> for DataFusionError {
    /// As it is; what comes out of DataFusion is again the same [`Error`], by the other conversion.
    fn from(e: Error) -> DataFusionError {
        DataFusionError::External(Box::new(e))
    }
}

impl From<DataFusionError> for Error {
    /// The error of this crate that was passed through DataFusion, or what it says by itself: [`Error::Limit`] where its
    /// memory was not enough, [`Error::Unsupported`] for what it does not do, [`Error::Invalid`] for a query that it does not
    /// understand or that fails.
    fn from(e: DataFusionError) -> Error {
        match e {
            DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(own) => *own,
                Err(other) => match other.downcast::<DataFusionError>() {
                    Ok(nested) => Error::from(*nested),
                    Err(other) => Error::invalid(other.to_string()).with_source(other),
                },
            },
            DataFusionError::Context(_, inner) if own(&inner).is_some() => Error::from(*inner),
            DataFusionError::Diagnostic(_, inner) => Error::from(*inner),
            other => match own(&other) {
                // It is shared with others that wait for the same.
                Some(own) => again(own),
                None => spoken(other),
            },
        }
    }
}

/// The error of this crate below an error of DataFusion's.
fn own(e: &DataFusionError) -> Option<&Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(e) = cause {
        if let Some(found) = e.downcast_ref::<Error>() {
            return Some(found);
        }
        cause = match e.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            _ => e.source(),
        };
    }
    None
}

/// The same error once more; its source stays where it was.
fn again(e: &Error) -> Error {
    let message = e.message();
    let mut copy = match e {
        Error::Io(_) => Error::io(message),
        Error::Corrupt(_) => Error::corrupt(message),
        Error::Unsupported(_) => Error::unsupported(message),
        Error::Invalid(_) => Error::invalid(message),
        Error::Conflict(_) => Error::conflict(message),
        Error::Limit(_) => Error::limit(message),
    };
    let place = e.place();
    if let Some(file) = &place.file {
        copy = copy.in_file(file);
    }
    if let Some(column) = &place.column {
        copy = copy.in_column(column);
    }
    if let Some(byte) = place.byte {
        copy = copy.at_byte(byte);
    }
    if let Some(page) = place.page {
        copy = copy.in_page(page);
    }
    match place.version {
        Some(version) => copy.in_version(version),
        None => copy,
    }
}

/// What DataFusion says by itself.
fn spoken(e: DataFusionError) -> Error {
    let message = e.strip_backtrace();
    let error = match e.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::limit(message),
        DataFusionError::NotImplemented(_) => Error::unsupported(message),
        DataFusionError::IoError(_) => Error::io(message),
        _ => Error::invalid(message),
    };
    error.with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_error_comes_back_as_it_went_in() {
        let new = || Error::corrupt("the page is cut").in_column("a").in_page(3).at_byte(99).in_file("f.parquet");
        let passed = || DataFusionError::from(new());
        let ways = [
            passed(),
            passed().context("while reading"),
            DataFusionError::Shared(Arc::new(passed())),
            DataFusionError::Shared(Arc::new(passed().context("again"))),
            DataFusionError::External(Box::new(passed())),
        ];
        for way in ways {
            let back = Error::from(way);
            assert_eq!((back.kind(), back.to_string()), ("corrupt", new().to_string()));
        }
    }

    #[test]
    fn what_datafusion_says_keeps_its_kind() {
        let kind = |e| Error::from(e).kind();
        assert_eq!(kind(DataFusionError::ResourcesExhausted("full".into())), "limit");
        assert_eq!(kind(DataFusionError::NotImplemented("x".into()).context("in a plan")), "unsupported");
        assert_eq!(kind(DataFusionError::Plan("no column".into())), "invalid");
    }
}
