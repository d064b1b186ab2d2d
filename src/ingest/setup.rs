//! Before the first record: the table, its columns, the state that an earlier run left, and whether the log fits it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use twox_hash::XxHash3_64;

use super::dead::{DeadLetters, domain};
use super::infer::Inference;
use super::options::{IngestOptions, UnknownFields};
use super::rows::RowDecoder;
use super::run::{BLOCK_BYTES, Ingest, RecordDecoder, SourcePartition};
use super::schema::{FieldType, RowSchema, unit_name};
use super::sink::{Sink, SinkPartition};
use super::state::{Ledger, PartitionState, Rules};
use super::window::FileRecipe;
use crate::error::{Error, Result};
use crate::log::{Log, Offset, Partition, PartitionId, Poll};
use crate::storage::Storage;
use crate::table::{CreateOptions, Table};

impl Ingest {
    /// Opens the table (made if it is not there), takes up the sink's state and checks the log against it.
    /// `dead_letters` is the folder of the table of bad records, which is made when there is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the options contradict each other, the table, or the state that the sink has left; when the
    /// columns cannot be inferred or have no event time; and when a partition was truncated or replaced. Nothing
    /// has been made or changed then.
    pub fn new(
        mut log: Box<dyn Log>,
        table: Arc<dyn Storage>,
        dead_letters: Arc<dyn Storage>,
        mut options: IngestOptions,
    ) -> Result<Ingest> {
        options.check()?;
        let partitions = log.partitions()?;
        if partitions.is_empty() {
            return Err(Error::invalid("the source has no partition, so there is nothing to read"));
        }
        if options.max_open_age.is_none() && partitions.iter().any(|partition| partition.unbounded) {
            options.max_open_age = Some(UNBOUNDED_OPEN_AGE);
        }
        options.writer.share_memory(options.memory_bytes);
        let place = table.name();
        let mut ahead = BTreeMap::new();
        let (table, dead) = loop {
            let existing = Table::open_if_exists(Arc::clone(&table))?;
            let schema = match &existing {
                Some(existing) => schema_of(existing, &options).map_err(|e| e.in_file(&place))?,
                None => match &options.schema {
                    Some(schema) => schema.clone(),
                    None => infer(log.as_mut(), &partitions, &options, &mut ahead)?,
                },
            };
            event_time(&schema, &options)?;
            let arrow = table_schema(&schema, &options)?;
            FileRecipe::new(schema, Arc::clone(&arrow), options.writer.clone(), options.sort_by.as_deref())?;
            let dead = DeadLetters::open(Arc::clone(&dead_letters), &options.sink, options.writer.clone())?;
            if let Some(existing) = existing {
                break (existing, dead);
            }
            let create = CreateOptions::default().with_partition_columns([options.window_column.clone()]);
            match Table::create(Arc::clone(&table), arrow, create) {
                Ok(made) => break (made, dead),
                // Somebody was quicker: it is to be looked at like any other.
                Err(Error::Conflict(_)) if Table::open_if_exists(Arc::clone(&table))?.is_some() => {}
                Err(e) => return Err(e),
            }
        };
        Ingest::start(log, table, dead, &partitions, ahead, options).map_err(|e| e.in_file(place))
    }

    fn start(
        mut log: Box<dyn Log>,
        table: Table,
        dead: DeadLetters,
        partitions: &[Partition],
        mut ahead: BTreeMap<PartitionId, VecDeque<Result<Poll>>>,
        options: IngestOptions,
    ) -> Result<Ingest> {
        let schema = schema_of(&table, &options)?;
        let rules = rules(&schema, &options, log.as_ref());
        let decoder = RecordDecoder {
            rows: RowDecoder::new(&schema, options.unknown_fields == UnknownFields::Ignore),
            event_time: event_time(&schema, &options)?,
            window_us: options.window_us(),
        };
        let mut sources = Vec::new();
        let mut sinks = Vec::new();
        for partition in partitions {
            let known = table.snapshot().domains.get(&domain(&options.sink, &partition.id.0));
            let state = match known {
                Some(json) => PartitionState::from_json(json)?,
                None => PartitionState::new(rules.clone()),
            };
            check_rules(&state, &rules, &partition.name)?;
            let mut ahead = ahead.remove(&partition.id).unwrap_or_default();
            if known.is_some() {
                // Whatever was read ahead was read by somebody else, too, who made the table meanwhile.
                ahead.clear();
                log.seek(&partition.id, state.resume, Some(&state.identity))?;
            }
            let is_fresh = ahead.is_empty();
            if is_fresh {
                let first = log.poll(&partition.id, first_bytes(partitions));
                // A source that is not the one that was read before is refused before anything happens.
                if let Err(Error::Invalid(_)) = &first {
                    first?;
                } else {
                    ahead.push_back(first);
                }
            }
            let mut blocks = ahead.iter().filter_map(|poll| match poll {
                Ok(Poll::Records(block)) => Some(block),
                _ => None,
            });
            let clock_us = blocks.find_map(|block| decoder.first_event_us(block));
            if is_fresh && !stays_open(partition, partitions) {
                ahead.clear();
                log.seek(&partition.id, state.resume, known.is_some().then_some(&state.identity))?;
            }
            sources.push(SourcePartition {
                id: partition.id.clone(),
                name: partition.name.clone(),
                clock_us,
                ahead,
                ended: false,
                idle_since: None,
                asked: Instant::now(),
                stored_bytes: 0,
                stored_bytes_total: partition.stored_bytes,
            });
            let stored_json = known.cloned();
            sinks.push(SinkPartition { id: partition.id.clone(), ledger: Ledger::new(state), stored_json });
        }
        let prefix = domain(&options.sink, "");
        let known = table.snapshot().domains.keys().filter_map(|name| name.strip_prefix(&prefix));
        let gone: Vec<String> =
            known.filter(|known| partitions.iter().all(|p| p.id.0 != *known)).map(str::to_owned).collect();
        let files = table.snapshot().file_schema();
        let recipe = FileRecipe::new(schema, files, options.writer.clone(), options.sort_by.as_deref())?;
        let mut sink = Sink::new(options.clone(), recipe, rules, table, dead, sinks)?;
        sink.summary.gone = gone;
        Ok(Ingest { log, options, decoder, sources, sink, has_failed: false })
    }
}

/// The columns of a table that is there, if it is one that the options fit.
fn schema_of(table: &Table, options: &IngestOptions) -> Result<RowSchema> {
    let snapshot = table.snapshot();
    let partitioned_by = &snapshot.metadata.partition_columns;
    if *partitioned_by != [options.window_column.clone()] {
        return Err(Error::invalid(format!(
            "the table is partitioned by {}, not by the window's column {}; choose another table, or the column's name",
            if partitioned_by.is_empty() { "nothing".to_owned() } else { partitioned_by.join(", ") },
            options.window_column
        )));
    }
    let window = snapshot.schema.field_with_name(&options.window_column)?;
    if *window.data_type() != window_type() {
        return Err(Error::invalid(format!(
            "holds windows, and is of type {}; choose another table",
            window.data_type()
        ))
        .in_column(&options.window_column));
    }
    let schema = RowSchema::from_arrow(&snapshot.schema, partitioned_by)?;
    match &options.schema {
        Some(wanted) if *wanted != schema => {
            let differs = wanted.fields().iter().zip(schema.fields()).find(|(wanted, has)| wanted != has);
            let column = differs.map(|(wanted, _)| wanted.name.clone());
            let e = Error::invalid(
                "the table has another schema than the one given; give none (the table's is taken), or choose another table",
            );
            Err(match column {
                Some(column) => e.in_column(column),
                None => e,
            })
        }
        _ => Ok(schema),
    }
}

/// Where the event time stands, and what it counts.
fn event_time(schema: &RowSchema, options: &IngestOptions) -> Result<(usize, Option<TimeUnit>)> {
    let name = &options.event_time;
    let found = schema.index_of(name).and_then(|at| Some((at, schema.fields().get(at)?.kind)));
    let Some((at, kind)) = found else {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
        return Err(Error::invalid(format!(
            "should hold the event time, and is not there; there are {}",
            names.join(", ")
        ))
        .in_column(name));
    };
    if schema.index_of(&options.window_column).is_some() {
        return Err(Error::invalid(
            "a field of the records has the name of the window's column; choose another for it",
        )
        .in_column(&options.window_column));
    }
    let fault = match (kind, options.event_time_unit) {
        (FieldType::Timestamp { .. }, None) => return Ok((at, None)),
        (FieldType::Int64 | FieldType::Int32, Some(unit)) => return Ok((at, Some(unit))),
        (FieldType::Int64 | FieldType::Int32, None) => {
            "it is an integer; say what it counts since 1970: s, ms, us or ns"
        }
        (FieldType::Timestamp { .. }, Some(_)) => "it is a timestamp, which has no unit to be given",
        _ => "it is neither a timestamp (RFC 3339 text with a zone) nor an integer of 32 or 64 bits",
    };
    Err(Error::invalid(format!("cannot be the event time: {fault} (its type is {})", kind.name())).in_column(name))
}

fn window_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The records' columns, and the window's.
fn table_schema(schema: &RowSchema, options: &IngestOptions) -> Result<Arc<Schema>> {
    let mut fields: Vec<Field> = schema.to_arrow().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new(&options.window_column, window_type(), false));
    Ok(Arc::new(Schema::new(fields)))
}

fn rules(schema: &RowSchema, options: &IngestOptions, log: &dyn Log) -> Rules {
    Rules {
        event_time: options.event_time.clone(),
        event_time_unit: options.event_time_unit.map(|unit| unit_name(unit).to_owned()),
        window_us: options.window_us(),
        window_column: options.window_column.clone(),
        unknown_fields: match options.unknown_fields {
            UnknownFields::Bad => "bad".to_owned(),
            UnknownFields::Ignore => "ignored".to_owned(),
        },
        log: log.rules(),
        schema: format!("{:016x}", XxHash3_64::oneshot(schema.to_json().as_bytes())),
    }
}

/// Rules may change only where nothing is open: a record would get another window, or none, when it is read again.
fn check_rules(state: &PartitionState, rules: &Rules, name: &str) -> Result<()> {
    let differences = state.rules.differences(rules);
    if differences.is_empty() || state.is_drained() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "was left half-way by a run with other options: {}; run it with those to its end first, or into another sink",
        differences.join(", ")
    ))
    .in_file(name))
}

/// Columns from the first records, which stay in `ahead` to be read.
fn infer(
    log: &mut dyn Log,
    partitions: &[Partition],
    options: &IngestOptions,
    ahead: &mut BTreeMap<PartitionId, VecDeque<Result<Poll>>>,
) -> Result<RowSchema> {
    let mut inference = Inference::default();
    let mut left: VecDeque<&Partition> = partitions.iter().collect();
    let (mut records, mut bytes, mut block_bytes) = (0, 0, first_bytes(partitions));
    let mut rounds = 0;
    while let Some(partition) = left.pop_front() {
        let queue = ahead.entry(partition.id.clone()).or_default();
        let poll = log.poll(&partition.id, block_bytes);
        match &poll {
            Ok(Poll::Records(block)) => {
                for span in block.records.iter().filter(|span| span.whole) {
                    inference.add(block.record(span));
                }
                records += block.records.len();
                bytes += block.bytes.len();
                if stays_open(partition, partitions) {
                    left.push_back(partition);
                    queue.push_back(poll);
                } else {
                    log.seek(&partition.id, Offset(0), None)?;
                }
            }
            // A stream that gives nothing yet is waited for only as long as there are no records at all.
            Ok(Poll::Idle) => left.push_back(partition),
            Ok(Poll::End) | Err(_) => queue.push_back(poll),
        }
        rounds += 1;
        let is_round = rounds % partitions.len() == 0;
        if is_round && records > 0 && left.iter().all(|p| p.unbounded) {
            // More will come of a stream, and nobody knows when.
            break;
        }
        if rounds >= partitions.len() && (records >= options.sample_records || bytes >= options.sample_bytes) {
            break;
        }
        if is_round {
            block_bytes = BLOCK_BYTES;
        }
    }
    inference.finish(&options.event_time)
}

/// How much of each partition is looked at first; all of them together stay small, however many there are.
fn first_bytes(partitions: &[Partition]) -> usize {
    (FIRST_BYTES_ALL / partitions.len().max(1)).min(FIRST_BYTES)
}

/// Whether a partition is kept open between the first look and its turn. Of many files most wait for long, and each
/// has its buffers; a stream cannot be closed.
fn stays_open(partition: &Partition, partitions: &[Partition]) -> bool {
    partition.unbounded || partitions.len() <= OPEN_PARTITIONS
}

const FIRST_BYTES: usize = 16 << 10;
const FIRST_BYTES_ALL: usize = 16 << 20;
const OPEN_PARTITIONS: usize = 32;
/// For sources that may never end, unless told otherwise.
const UNBOUNDED_OPEN_AGE: Duration = Duration::from_secs(15 * 60);
