//! Compaction: many small files of a partition become few of a good size, and not a row changes.
//!
//! ```text
//! live files ─ of one partition, small ─> groups of the target size ─ decoded, encoded again ─> files ─> one commit: remove, add
//! ```
//!
//! Rows are decoded and written again, because small files have small row groups: copied behind each other they would read as
//! slowly as before. The commit says `dataChange: false`, so that whoever follows the table's changes sees none.
//!
//! Other writers go on meanwhile. What they add disturbs nothing. Where one removed a file that was being compacted, that
//! group is given up, and the others are committed. Files that were replaced stay on the disk until [`Table::vacuum`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::actions::AddFile;
use super::columns::Columns;
use super::partition::PartitionValues;
use super::{Snapshot, Table};
use crate::MemoryBudget;
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use crate::parquet::write::{FileWriter, WriterOptions, WrittenFile};
use crate::storage::is_not_found;

/// Which files are compacted, and how. Start from the defaults and change fields.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// Bytes of files that become one, at most; 128 MiB.
    pub target_file_bytes: u64,
    /// Only files of fewer bytes; None: half of [`target_file_bytes`](Self::target_file_bytes), so that a file that was
    /// compacted to its size is not touched again.
    pub small_file_bytes: Option<u64>,
    /// So many files of a partition, at least, become one; 2.
    pub files_min: usize,
    /// Bounds what is decoded and the row group that is being written; 512 MiB. Where it is not enough for a row group of the
    /// writer's size, row groups are smaller.
    pub memory_bytes: usize,
    /// Only say what would be compacted.
    pub dry_run: bool,
    /// How files are read. Its memory is half of [`memory_bytes`](Self::memory_bytes), if that is less.
    pub reader: ReaderOptions,
    /// How files are written. A file is in no order but that of its rows before, so it must not promise one.
    pub writer: WriterOptions,
}

impl Default for CompactOptions {
    fn default() -> CompactOptions {
        CompactOptions {
            target_file_bytes: 128 << 20,
            small_file_bytes: None,
            files_min: 2,
            memory_bytes: 512 << 20,
            dry_run: false,
            reader: ReaderOptions::default(),
            writer: WriterOptions::default(),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Files that became one, group by group.
    pub groups: Vec<CompactedGroup>,
    /// Groups that were given up, because another writer removed one of their files meanwhile.
    pub lost: u64,
    /// Commits made.
    pub commits: u64,
    /// The table's version in the end.
    pub version: u64,
    /// Live files that were left as they are, of the version that was planned for.
    pub files_left: u64,
    /// Ended early, because it was asked to; what was finished is committed.
    pub stopped: bool,
}

/// Files that became one, or that would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedGroup {
    /// Of their partition.
    pub partition_values: PartitionValues,
    /// Their paths, in the order of their rows.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows; of a dry run as the log tells, if it does.
    pub rows: Option<u64>,
    /// The path and the bytes of the file that has their rows now: none in a dry run, nor where there are no rows.
    pub written: Option<(String, u64)>,
}

impl CompactReport {
    /// Bytes of the files that were replaced.
    pub fn bytes_before(&self) -> u64 {
        self.groups.iter().fold(0, |sum, group| sum.saturating_add(group.bytes))
    }

    /// Bytes of the files that replace them.
    pub fn bytes_after(&self) -> u64 {
        let written = self.groups.iter().filter_map(|group| group.written.as_ref());
        written.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// How many files were replaced.
    pub fn files_before(&self) -> u64 {
        self.groups.iter().map(|group| group.files.len() as u64).sum()
    }
}

/// Files that become one. All have the same partition values, and the same tags of this crate.
type Group = Vec<Arc<AddFile>>;

/// A group whose file is written, and that no commit names yet.
struct Done {
    files: Group,
    rows: u64,
    written: Option<AddFile>,
}

impl Table {
    /// Makes few files of many small ones, partition by partition, with the same rows: those of a file stay in their order,
    /// files come in the order in which they were made. Once `stop` is set, what is finished is committed, and no more is begun.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot be, [`Error::Conflict`] when another writer has changed the table's schema
    /// or protocol meanwhile; and what reading and writing meet. What was finished by then is committed, if that can be.
    pub fn compact(&mut self, options: &CompactOptions, stop: &AtomicBool) -> Result<CompactReport> {
        options.check()?;
        let options = &options.of_many();
        self.refresh()?;
        self.snapshot.protocol.check_write(&self.snapshot.metadata, &self.snapshot.schema, Default::default())?;
        let groups = options.plan(&self.snapshot);
        let planned: usize = groups.iter().map(Vec::len).sum();
        let mut report = CompactReport {
            files_left: self.snapshot.files.len().saturating_sub(planned) as u64,
            version: self.snapshot.version,
            ..CompactReport::default()
        };
        if options.dry_run {
            report.groups = groups.iter().map(|files| CompactedGroup::new(files, rows_of(files), None)).collect();
            return Ok(report);
        }
        let mut done = Vec::new();
        for files in groups {
            match self.write_group(&files, options, stop) {
                Ok(Some(finished)) => done.push(finished),
                Ok(None) => {
                    report.stopped = true;
                    break;
                }
                // Of a file that another writer removed, and a vacuum took away, nothing is to be kept.
                Err(e) if is_not_found(&e) && !self.are_live_now(&files)? => report.lost += 1,
                Err(e) => {
                    self.commit_groups(&mut done, &mut report)?;
                    return Err(e);
                }
            }
            if done.len() >= COMMIT_GROUPS {
                self.commit_groups(&mut done, &mut report)?;
            }
        }
        self.commit_groups(&mut done, &mut report)?;
        report.version = self.snapshot.version;
        Ok(report)
    }

    fn are_live_now(&mut self, files: &Group) -> Result<bool> {
        self.refresh()?;
        Ok(self.are_live(files))
    }

    fn are_live(&self, files: &Group) -> bool {
        files.iter().all(|file| self.snapshot.files.contains_key(&file.path))
    }

    /// Writes the file of a group; `None` when it was stopped.
    fn write_group(&self, files: &Group, options: &CompactOptions, stop: &AtomicBool) -> Result<Option<Done>> {
        let Some(first) = files.first() else { return Ok(None) };
        let schema = self.snapshot.file_schema();
        let path = self.data_path(&first.partition_values);
        let output = self.storage.create(&path)?;
        let mut writer = FileWriter::new(output, Arc::clone(&schema), options.writer.clone())?;
        for file in files {
            let input = self.storage.open(&file.path)?;
            let name = input.name().to_owned();
            let in_file = |e: Error| e.in_file(name.clone());
            let reader = FileReader::open(input, options.reader.clone()).map_err(in_file)?;
            if let Some(told) = file.rows().filter(|&told| told != reader.rows()) {
                let message = format!("the log tells of {told} rows, the file has {}", reader.rows());
                return Err(in_file(Error::corrupt(message)));
            }
            let none = PartitionValues::new();
            let mut columns = Columns::new(Arc::clone(&schema), &[], &none, reader.schema()).map_err(in_file)?;
            let before = writer.rows();
            let wanted = ScanOptions { columns: Some(columns.in_file()), ..ScanOptions::default() };
            for batch in reader.scan(wanted).map_err(in_file)? {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                writer.write(&columns.of_table(&batch.map_err(in_file)?).map_err(in_file)?)?;
                if writer.memory_bytes() > options.memory_bytes / 2 {
                    writer.flush()?;
                }
            }
            let (written, has) = (writer.rows() - before, reader.rows());
            if written != has {
                return Err(in_file(Error::corrupt(format!("gave {written} of its {has} rows"))));
            }
        }
        let rows = writer.rows();
        // A file without rows is no file: dropped, it never appears.
        let written = if rows == 0 { None } else { Some(self.described(files, path, &writer.finish()?)?) };
        Ok(Some(Done { files: files.clone(), rows, written }))
    }

    /// What the log says of a group's file: the tags are those that all its files had.
    fn described(&self, files: &Group, path: String, written: &WrittenFile) -> Result<AddFile> {
        let values = files.first().map(|file| file.partition_values.clone()).unwrap_or_default();
        let mut add = AddFile::from_written(written, &self.snapshot.schema, path, values)?;
        add.tags = files.first().map(|file| file.tags.clone()).unwrap_or_default();
        add.tags.retain(|key, value| files.iter().all(|file| file.tags.get(key) == Some(value)));
        Ok(add)
    }

    /// Commits what is finished. Groups of which another writer was faster to remove a file are given up, one by one, so that
    /// compaction comes to its end whatever the others do.
    fn commit_groups(&mut self, done: &mut Vec<Done>, report: &mut CompactReport) -> Result<()> {
        while !done.is_empty() {
            match self.transact_groups(done) {
                Ok(version) => {
                    report.version = version;
                    report.commits += 1;
                    report.groups.extend(
                        done.drain(..)
                            .map(|group| CompactedGroup::new(&group.files, Some(group.rows), group.written.as_ref())),
                    );
                }
                Err(e @ Error::Conflict(_)) => {
                    let (kept, lost): (Vec<Done>, Vec<Done>) =
                        done.drain(..).partition(|group| self.are_live(&group.files));
                    let given_up = if lost.is_empty() { &kept } else { &lost };
                    for written in given_up.iter().filter_map(|group| group.written.as_ref()) {
                        // Nobody knows it; should it stay, it is garbage for a vacuum.
                        let _ = self.storage.remove(&written.path);
                    }
                    if lost.is_empty() {
                        return Err(e);
                    }
                    report.lost += lost.len() as u64;
                    *done = kept;
                }
                // It may be open whether the commit happened, so the files must stay.
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn transact_groups(&mut self, done: &[Done]) -> Result<u64> {
        let files: usize = done.iter().map(|group| group.files.len()).sum();
        let rows: u64 = done.iter().map(|group| group.rows).sum();
        let mut transaction = self.transaction();
        transaction.operation("OPTIMIZE").rearranges();
        transaction.commit_info("hypostyle", json!({"compacted_files": files, "rows": rows}));
        for group in done {
            for file in &group.files {
                transaction.remove(&file.path);
            }
            if let Some(add) = &group.written {
                transaction.add(add.clone());
            }
        }
        transaction.commit()
    }
}

impl CompactOptions {
    fn check(&self) -> Result<()> {
        let message = if self.files_min < 2 {
            "compaction makes one file of two at least"
        } else if self.target_file_bytes == 0 {
            "a target of 0 bytes is no file"
        } else if !self.writer.sorting_columns.is_empty() {
            "compaction sorts nothing, so its files cannot promise an order"
        } else if self.reader.decryption.is_some() && self.writer.encryption.is_none() {
            "compaction would write in the clear what it has keys to read; give the writer keys, too"
        } else {
            return Ok(());
        };
        Err(Error::invalid(message))
    }

    /// The same, with half of the memory for reading at most, and buffers that go from file to file.
    fn of_many(&self) -> CompactOptions {
        let mut options = self.clone();
        let bytes = self.reader.memory_bytes.min(self.memory_bytes / 2);
        options.reader.memory_bytes = bytes;
        options.reader.memory.get_or_insert_with(|| MemoryBudget::new(bytes));
        options.writer.share_memory(self.memory_bytes);
        options
    }

    /// Which files become one: small ones of a partition, by the time at which they were made, up to the target together.
    fn plan(&self, snapshot: &Snapshot) -> Vec<Group> {
        let small = self.small_file_bytes.unwrap_or(self.target_file_bytes / 2);
        let mut partitions: BTreeMap<_, Group> = BTreeMap::new();
        for file in snapshot.files.values().filter(|file| file.bytes < small) {
            // The tags of this crate say whose rows they are, and must still be true; other tags are somebody's notes.
            let ours: Vec<_> = file.tags.iter().filter(|(key, _)| key.starts_with(OUR_TAGS)).collect();
            partitions.entry((&file.partition_values, ours)).or_default().push(Arc::clone(file));
        }
        let mut groups = Vec::new();
        for mut files in partitions.into_values() {
            files.sort_by(|a, b| (a.modified_ms, &a.path).cmp(&(b.modified_ms, &b.path)));
            let (mut group, mut bytes) = (Group::new(), 0_u64);
            for file in files {
                if bytes.saturating_add(file.bytes) > self.target_file_bytes {
                    groups.push(std::mem::take(&mut group));
                    bytes = 0;
                }
                bytes = bytes.saturating_add(file.bytes);
                group.push(file);
            }
            groups.push(group);
        }
        groups.retain(|group| group.len() >= self.files_min);
        groups
    }
}

impl CompactedGroup {
    fn new(files: &Group, rows: Option<u64>, written: Option<&AddFile>) -> CompactedGroup {
        CompactedGroup {
            partition_values: files.first().map(|file| file.partition_values.clone()).unwrap_or_default(),
            files: files.iter().map(|file| file.path.clone()).collect(),
            bytes: files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)),
            rows,
            written: written.map(|add| (add.path.clone(), add.bytes)),
        }
    }
}

/// As the log tells, if it does.
fn rows_of(files: &Group) -> Option<u64> {
    files.iter().try_fold(0_u64, |sum, file| file.rows()?.checked_add(sum))
}

/// What the tags of this crate begin with.
const OUR_TAGS: &str = "hypostyle.";
/// Groups of one commit, at most: so that the end of a long run is not the end of all its work.
const COMMIT_GROUPS: usize = 64;
