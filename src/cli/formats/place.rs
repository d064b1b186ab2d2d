//! What a user names: a table's folder, or a file whose name or first bytes say its format.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::storage::{Input, Local, Storage};

/// Where rows are read from.
pub(crate) enum Place {
    /// A table's folder.
    Table(Arc<dyn Storage>),
    /// A Parquet file.
    Parquet(Arc<dyn Input>),
    /// An Arrow IPC file or stream.
    Arrow(Arc<dyn Input>),
    /// NDJSON, perhaps compressed: its folder and name.
    Ndjson(Local, String),
    /// CSV.
    Csv(Arc<dyn Input>),
}

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Arrow,
    Ndjson,
    Csv,
}

/// Where rows are written to.
pub(super) enum OutputPlace {
    /// A folder for a new table.
    Table(Local),
    File(OutputFile),
}

/// A file to be written.
pub(super) struct OutputFile {
    pub(super) storage: Local,
    pub(super) name: String,
    pub(super) format: Format,
}

/// Finds out what is at a path.
pub(crate) fn input(path: &str) -> Result<Place> {
    let here = Path::new(path);
    if here.is_dir() {
        if !here.join("_delta_log").is_dir() {
            let message = "is a folder without _delta_log, so no table; name the folder of a table (as `hypostyle ingest` \
                           makes them) or a file";
            return Err(Error::invalid(message).in_file(path));
        }
        return Ok(Place::Table(Arc::new(Local::new(here)?)));
    }
    let (storage, name) = Local::file(here)?;
    let open = || storage.open(&name).map_err(|e| e.in_file(path));
    let packed = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst"));
    match format_of(packed.unwrap_or(&name)) {
        Some(Format::Ndjson) => {
            open()?;
            // Log files may be cut short while they are read, which a memory map does not survive.
            Ok(Place::Ndjson(storage.without_map(), name))
        }
        Some(Format::Parquet) if packed.is_none() => Ok(Place::Parquet(open()?)),
        Some(Format::Arrow) if packed.is_none() => Ok(Place::Arrow(open()?)),
        Some(Format::Csv) if packed.is_none() => Ok(Place::Csv(open()?)),
        _ => {
            let input = open()?;
            let head = input.read(0..input.bytes().min(8))?;
            if head.starts_with(b"PAR1") || head.starts_with(b"PARE") {
                Ok(Place::Parquet(input))
            } else if super::arrow::is_file(&head) {
                Ok(Place::Arrow(input))
            } else {
                let message = "has no name of a format that is read: .parquet, .arrow, .ndjson (or .jsonl, also with .gz or \
                               .zst), .csv";
                Err(Error::invalid(message).in_file(path))
            }
        }
    }
}

/// Where a file will be written; what is there and is no file stays as it is.
pub(crate) fn output(path: &str) -> Result<OutputPlace> {
    let mut here = Path::new(path).to_owned();
    if here.is_dir() || path.ends_with('/') {
        return Ok(OutputPlace::Table(Local::new(&here)?));
    }
    // The name is given to a new file, so a link would lose what it points to, and a device would become a file.
    if let Ok(target) = here.canonicalize() {
        if !target.is_file() {
            return Err(Error::invalid("is no ordinary file; name one").in_file(path));
        }
        here = target;
    }
    let (storage, name) = Local::file(&here)?;
    let format = format_of(Path::new(path).file_name().and_then(|n| n.to_str()).unwrap_or_default());
    let format = format.ok_or_else(|| {
        let message = "has no name of a format that is written: .parquet, .arrow, .ndjson (or .jsonl), .csv; \
                       for a table, put a / behind its folder's name";
        Error::invalid(message).in_file(path)
    })?;
    Ok(OutputPlace::File(OutputFile { storage, name, format }))
}

fn format_of(name: &str) -> Option<Format> {
    let (_, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "parquet" | "parq" | "pq" => Some(Format::Parquet),
        "arrow" | "arrows" | "ipc" | "feather" => Some(Format::Arrow),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}
