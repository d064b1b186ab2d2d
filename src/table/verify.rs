//! A table checked whole: every live file, and what the log says of it.

use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions, Verification};

use super::Table;

/// What [`Table::verify`] found of one file.
#[derive(Debug)]
pub struct FileVerification {
    /// Its path in the table.
    pub path: String,
    /// Where the log and the file disagree, or the file cannot be opened.
    pub faults: Vec<Error>,
    /// The file, and what is wrong in it; none where it cannot be opened.
    pub found: Option<(FileReader, Verification)>,
    /// Its rows.
    pub rows: u64,
}

impl FileVerification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.found.as_ref().is_some_and(|(_, found)| found.is_sound())
    }
}

impl Table {
    /// Reads and checks all files of the version that is open, one after another; see
    /// [`FileReader::verify`](crate::parquet::read::FileReader::verify). Faults of a file are no errors.
    ///
    /// # Errors
    /// What keeps the work from going on: [`Error::Io`] of the storage, but for a file that is not there.
    pub fn verify(&self, reader: &ReaderOptions) -> Result<impl Iterator<Item = Result<FileVerification>>> {
        let files: Vec<_> = self.snapshot().files.values().cloned().collect();
        let storage = self.storage().clone();
        let reader = reader.clone();
        Ok(files.into_iter().map(move |add| {
            let mut one = FileVerification { path: add.path.clone(), faults: Vec::new(), found: None, rows: 0 };
            let input = match storage.open(&add.path) {
                Ok(input) => input,
                Err(e) if crate::storage::is_not_found(&e) => {
                    let message = "the log names this file, and it is not there";
                    one.faults.push(Error::corrupt(message).in_file(format!("{}/{}", storage.name(), add.path)));
                    return Ok(one);
                }
                Err(e) => return Err(e),
            };
            let name = input.name().to_owned();
            let mut fault = |message: String| one.faults.push(Error::corrupt(message).in_file(name.clone()));
            if input.bytes() != add.bytes {
                fault(format!("the log tells of {} bytes, the file has {}", add.bytes, input.bytes()));
            }
            let file = match FileReader::open(input, reader.clone()) {
                Ok(file) => file,
                Err(e) => {
                    one.faults.push(e);
                    return Ok(one);
                }
            };
            one.rows = file.rows();
            if let Some(told) = add.rows().filter(|&told| told != file.rows()) {
                fault(format!("the log tells of {told} rows, the file has {}", file.rows()));
            }
            let found = file.verify();
            one.found = Some((file, found));
            Ok(one)
        }))
    }
}
