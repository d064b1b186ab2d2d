//! A Parquet file: schema, row groups, column chunks, pages.

use std::io::Write;

use serde_json::{Value, json};

use super::{Aligned, bound_text};
use crate::cli::cells::type_name;
use crate::cli::quantities::{bytes, count, of};
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::format::schema::TimeUnit;
use crate::parquet::format::{ColumnMetaData, GeospatialStatistics, LogicalType, PageType, Repetition};
use crate::parquet::read::{FileReader, PageInfo};

/// One column chunk, as people want to see it.
struct Chunk<'a> {
    column: usize,
    leaf: &'a Leaf,
    meta: ColumnMetaData,
    is_encrypted: bool,
    compressed: u64,
    uncompressed: u64,
    nulls: Option<u64>,
    nans: Option<u64>,
    min: Option<String>,
    max: Option<String>,
    min_exact: Option<bool>,
    max_exact: Option<bool>,
    column_index: bool,
    offset_index: bool,
}

pub(super) fn print(file: &FileReader, pages: bool, out: &mut impl Write) -> Result<()> {
    let metadata = file.metadata()?;
    writeln!(
        out,
        "{}: Parquet, {} in {}, {}",
        file.name(),
        of(file.rows(), "row", "rows"),
        of(metadata.row_groups.len() as u64, "row group", "row groups"),
        bytes(file.bytes())
    )?;
    writeln!(out, "format version {}, written by {}", metadata.version, metadata.created_by.as_deref().unwrap_or("-"))?;
    for pair in metadata.key_value_metadata.iter().flatten() {
        let size = pair.value.as_ref().map_or(0, String::len) as u64;
        writeln!(out, "metadata {} ({})", crate::cli::display::fit(&pair.key), bytes(size))?;
    }
    writeln!(out, "\nschema")?;
    let mut schema = Aligned::new(&["column", "Parquet", "Arrow", "note"]);
    for leaf in &file.parquet_schema().leaves {
        let note = leaf.refusal.clone().map_or(String::new(), |why| format!("not read: {why}"));
        schema.row(vec![leaf.name(), stored_as(file, leaf), type_name(&leaf.data_type), note]);
    }
    schema.print("  ", out)?;
    for (at, group) in metadata.row_groups.iter().enumerate() {
        let (chunks, hidden) = chunks(file, at)?;
        let (compressed, uncompressed) = sums(&chunks);
        writeln!(
            out,
            "\nrow group {at}: {}, {} ({} before compression, {})",
            of(unsigned(group.num_rows), "row", "rows"),
            bytes(compressed),
            bytes(uncompressed),
            ratio(uncompressed, compressed)
        )?;
        let mut table = Aligned::new(&[
            "column",
            "encodings",
            "codec",
            ">values",
            ">nulls",
            "min",
            "max",
            ">size",
            ">ratio",
            "index",
        ]);
        for chunk in &chunks {
            table.row(vec![
                chunk.leaf.name(),
                encodings(&chunk.meta).join(" "),
                upper(&chunk.meta.codec),
                count(unsigned(chunk.meta.num_values)),
                chunk.nulls.map_or("-".into(), count),
                edge(&chunk.min, chunk.min_exact),
                edge(&chunk.max, chunk.max_exact),
                bytes(chunk.compressed),
                ratio(chunk.uncompressed, chunk.compressed),
                indexes(chunk).join(" "),
            ]);
        }
        table.print("  ", out)?;
        let encrypted: Vec<String> = chunks.iter().filter(|c| c.is_encrypted).map(|c| c.leaf.name()).collect();
        if !encrypted.is_empty() {
            writeln!(out, "  encrypted: {}", encrypted.join(", "))?;
        }
        for Hidden { leaf, why } in &hidden {
            writeln!(out, "  column {}: {why}", leaf.name())?;
        }
        if pages {
            for chunk in &chunks {
                writeln!(out, "\n  pages of {}", chunk.leaf.name())?;
                print_pages(&file.pages(at, chunk.column)?, out)?;
            }
        }
    }
    Ok(())
}

fn print_pages(pages: &[PageInfo], out: &mut impl Write) -> Result<()> {
    let mut table = Aligned::new(&[
        "page", "kind", "encoding", ">at byte", ">header", ">size", ">before", ">values", ">nulls", "min", "max", "crc",
    ]);
    let mut number = 0;
    for page in pages {
        let is_data = matches!(page.kind, PageType::DataPage | PageType::DataPageV2);
        let name = if is_data { number.to_string() } else { "-".to_owned() };
        number += u64::from(is_data);
        let text = |bound| bound_text(bound).unwrap_or("-".into());
        table.row(vec![
            name,
            upper(&page.kind),
            page.encoding.as_ref().map_or("-".into(), upper),
            page.offset.to_string(),
            page.header_bytes.to_string(),
            count(page.compressed_bytes as u64),
            count(unsigned(page.uncompressed_bytes)),
            count(page.values),
            page.bounds.null_count.filter(|_| is_data).map_or("-".into(), count),
            text(page.bounds.min.as_ref()),
            text(page.bounds.max.as_ref()),
            if page.has_crc { "yes" } else { "no" }.into(),
        ]);
    }
    table.print("    ", out)
}

pub(super) fn json(file: &FileReader, pages: bool) -> Result<Value> {
    let metadata = file.metadata()?;
    let schema: Vec<Value> = file
        .parquet_schema()
        .leaves
        .iter()
        .map(|leaf| {
            json!({
                "path": leaf.path,
                "parquet": stored_as(file, leaf),
                "arrow": type_name(&leaf.data_type),
                "nullable": leaf.is_nullable(),
                "refusal": leaf.refusal,
            })
        })
        .collect();
    let mut groups = Vec::new();
    for (at, group) in metadata.row_groups.iter().enumerate() {
        let (chunks, hidden) = chunks(file, at)?;
        let (compressed, uncompressed) = sums(&chunks);
        let columns: Result<Vec<Value>> = chunks
            .iter()
            .map(|chunk| {
                let all = match pages {
                    true => Some(file.pages(at, chunk.column)?.iter().map(page_json).collect()),
                    false => None,
                };
                Ok(chunk_json(chunk, all))
            })
            .collect();
        let hidden: Vec<Value> = hidden.iter().map(|h| json!({"path": h.leaf.path, "refusal": h.why})).collect();
        groups.push(json!({
            "rows": group.num_rows,
            "compressed_bytes": compressed,
            "uncompressed_bytes": uncompressed,
            "columns": columns?,
            "hidden_columns": hidden,
        }));
    }
    let pairs = metadata.key_value_metadata.iter().flatten();
    Ok(json!({
        "file": file.name(),
        "bytes": file.bytes(),
        "rows": file.rows(),
        "version": metadata.version,
        "created_by": metadata.created_by,
        "metadata": pairs.map(|p| json!({"key": p.key, "value": p.value})).collect::<Vec<_>>(),
        "schema": schema,
        "row_groups": groups,
    }))
}

fn chunk_json(chunk: &Chunk<'_>, pages: Option<Vec<Value>>) -> Value {
    let mut value = json!({
        "path": chunk.leaf.path,
        "encodings": encodings(&chunk.meta),
        "codec": upper(&chunk.meta.codec),
        "values": chunk.meta.num_values,
        "compressed_bytes": chunk.compressed,
        "uncompressed_bytes": chunk.uncompressed,
        "data_page_offset": chunk.meta.data_page_offset,
        "dictionary_page_offset": chunk.meta.dictionary_page_offset,
        "statistics": {
            "nulls": chunk.nulls,
            "nans": chunk.nans,
            "min": chunk.min,
            "max": chunk.max,
            "min_is_exact": chunk.min_exact,
            "max_is_exact": chunk.max_exact,
        },
        "encrypted": chunk.is_encrypted,
        "column_index": chunk.column_index,
        "offset_index": chunk.offset_index,
        "bloom_filter": chunk.meta.bloom_filter_offset.is_some(),
        "bloom_filter_bytes": chunk.meta.bloom_filter_length,
    });
    if let Some(entries) = value.as_object_mut() {
        entries.extend(chunk.meta.geospatial_statistics.as_ref().map(|g| ("geospatial".into(), geospatial_json(g))));
        entries.extend(pages.map(|pages| ("pages".into(), pages.into())));
    }
    value
}

/// Axes are pairs of least and greatest, null where they are not told.
fn geospatial_json(known: &GeospatialStatistics) -> Value {
    let axes = known.bbox.as_ref().map(|b| {
        json!({
            "x": [b.xmin, b.xmax],
            "y": [b.ymin, b.ymax],
            "z": b.zmin.zip(b.zmax),
            "m": b.mmin.zip(b.mmax),
        })
    });
    json!({"box": axes, "kinds": known.geospatial_types})
}

fn page_json(page: &PageInfo) -> Value {
    json!({
        "kind": upper(&page.kind),
        "encoding": page.encoding.as_ref().map(upper),
        "offset": page.offset,
        "header_bytes": page.header_bytes,
        "compressed_bytes": page.compressed_bytes,
        "uncompressed_bytes": page.uncompressed_bytes,
        "values": page.values,
        "nulls": page.bounds.null_count,
        "min": bound_text(page.bounds.min.as_ref()),
        "max": bound_text(page.bounds.max.as_ref()),
        "crc": page.has_crc,
    })
}

/// A chunk of which nothing is known, for want of a key.
struct Hidden<'a> {
    leaf: &'a Leaf,
    why: String,
}

fn chunks(file: &FileReader, group: usize) -> Result<(Vec<Chunk<'_>>, Vec<Hidden<'_>>)> {
    let columns = file.metadata()?.row_groups.get(group).map(|g| g.columns.as_slice()).unwrap_or_default();
    let leaves = &file.parquet_schema().leaves;
    let (mut chunks, mut hidden) = (Vec::new(), Vec::new());
    for (at, (chunk, leaf)) in columns.iter().zip(leaves).enumerate() {
        let meta = match file.column_metadata(group, at) {
            Ok(meta) => meta,
            Err(e @ Error::Invalid(_)) => {
                hidden.push(Hidden { leaf, why: e.message().to_owned() });
                continue;
            }
            Err(e) => return Err(e),
        };
        let bounds = file.chunk_bounds(group, at)?;
        let statistics = meta.statistics.as_ref();
        chunks.push(Chunk {
            column: at,
            leaf,
            is_encrypted: chunk.crypto_metadata.is_some(),
            compressed: unsigned(meta.total_compressed_size),
            uncompressed: unsigned(meta.total_uncompressed_size),
            nulls: bounds.null_count,
            nans: bounds.nan_count,
            min: bound_text(bounds.min.as_ref()),
            max: bound_text(bounds.max.as_ref()),
            min_exact: statistics.and_then(|s| s.is_min_value_exact),
            max_exact: statistics.and_then(|s| s.is_max_value_exact),
            column_index: chunk.column_index_offset.is_some(),
            offset_index: chunk.offset_index_offset.is_some(),
            meta,
        });
    }
    Ok((chunks, hidden))
}

fn sums(chunks: &[Chunk<'_>]) -> (u64, u64) {
    let sum = |size: fn(&Chunk<'_>) -> u64| chunks.iter().map(size).fold(0, u64::saturating_add);
    (sum(|c| c.compressed), sum(|c| c.uncompressed))
}

fn encodings(meta: &ColumnMetaData) -> Vec<String> {
    meta.encodings.iter().map(upper).collect()
}

fn indexes(chunk: &Chunk<'_>) -> Vec<&'static str> {
    let all = [
        (chunk.column_index, "column"),
        (chunk.offset_index, "offset"),
        (chunk.meta.bloom_filter_offset.is_some(), "bloom"),
    ];
    let there: Vec<&str> = all.iter().filter(|(is_there, _)| *is_there).map(|(_, name)| *name).collect();
    if there.is_empty() { vec!["-"] } else { there }
}

/// A bound; with a mark when it was cut and so is no value itself.
fn edge(text: &Option<String>, exact: Option<bool>) -> String {
    match (text, exact) {
        (None, _) => "-".into(),
        (Some(text), _) if text.is_empty() => "''".into(),
        (Some(text), Some(false)) => format!("{text} (cut)"),
        (Some(text), _) => text.clone(),
    }
}

fn ratio(uncompressed: u64, compressed: u64) -> String {
    if compressed == 0 { "-".into() } else { format!("{:.1}x", uncompressed as f64 / compressed as f64) }
}

/// Sizes and counts that the footer has as signed numbers; a negative one is nonsense.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A format's name for one of its enumerations' values: `RleDictionary` is RLE_DICTIONARY.
fn upper(value: &impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for c in format!("{value:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

fn stored_as(file: &FileReader, leaf: &Leaf) -> String {
    let element = file.parquet_schema().elements.get(leaf.element);
    let repetition = match element.and_then(|e| e.repetition) {
        Some(Repetition::Required) => "required",
        Some(Repetition::Repeated) => "repeated",
        _ => "optional",
    };
    let size = if leaf.type_length > 0 { format!("({})", leaf.type_length) } else { String::new() };
    let logical = leaf.logical.as_ref().map_or(String::new(), |l| format!(" {}", logical_name(l)));
    format!("{repetition} {}{size}{logical}", upper(&leaf.physical))
}

fn logical_name(logical: &LogicalType) -> String {
    let time = |unit: &TimeUnit, utc: bool| {
        let unit = match unit {
            TimeUnit::Millis(_) => "ms",
            TimeUnit::Micros(_) => "us",
            TimeUnit::Nanos(_) => "ns",
            _ => "unknown unit",
        };
        format!("({unit}{})", if utc { ", UTC" } else { "" })
    };
    match logical {
        LogicalType::Decimal(d) => format!("DECIMAL({},{})", d.precision, d.scale),
        LogicalType::Integer(i) => {
            format!("INTEGER({}, {})", i.bit_width, if i.is_signed { "signed" } else { "unsigned" })
        }
        LogicalType::Timestamp(t) => format!("TIMESTAMP{}", time(&t.unit, t.is_adjusted_to_utc)),
        LogicalType::Time(t) => format!("TIME{}", time(&t.unit, t.is_adjusted_to_utc)),
        // As the specification calls the type of nothing but nulls.
        LogicalType::Null(_) => "UNKNOWN".to_owned(),
        other => {
            let name = format!("{other:?}");
            upper(&Name(name.split(['(', ' ']).next().unwrap_or_default()))
        }
    }
}

struct Name<'a>(&'a str);

impl std::fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::schema::{DecimalType, Empty, IntType, TimeType};
    use crate::parquet::format::{Codec, Encoding};

    #[test]
    fn names_are_the_formats_own() {
        assert_eq!(upper(&Encoding::RleDictionary), "RLE_DICTIONARY");
        assert_eq!(upper(&Encoding::Plain), "PLAIN");
        assert_eq!(upper(&Codec::Lz4Raw), "LZ4_RAW");
        assert_eq!(logical_name(&LogicalType::String(Empty {})), "STRING");
        assert_eq!(logical_name(&LogicalType::Decimal(DecimalType { scale: 2, precision: 10 })), "DECIMAL(10,2)");
        let unit = TimeUnit::Micros(Empty {});
        assert_eq!(
            logical_name(&LogicalType::Timestamp(TimeType { is_adjusted_to_utc: true, unit })),
            "TIMESTAMP(us, UTC)"
        );
        let int = IntType { bit_width: 8, is_signed: false };
        assert_eq!(logical_name(&LogicalType::Integer(int)), "INTEGER(8, unsigned)");
    }

    #[test]
    fn geometries_are_told_by_axes_and_kinds() {
        use crate::parquet::format::BoundingBox;
        let bbox = BoundingBox {
            xmin: 1.0,
            xmax: 2.0,
            ymin: -3.5,
            ymax: 4.0,
            zmin: None,
            zmax: None,
            mmin: Some(0.0),
            mmax: Some(9.0),
        };
        let known = GeospatialStatistics { bbox: Some(bbox), geospatial_types: Some(vec![2001]) };
        let axes = json!({"x": [1.0, 2.0], "y": [-3.5, 4.0], "z": null, "m": [0.0, 9.0]});
        assert_eq!(geospatial_json(&known), json!({"box": axes, "kinds": [2001]}));
        let nothing = GeospatialStatistics { bbox: None, geospatial_types: None };
        assert_eq!(geospatial_json(&nothing), json!({"box": null, "kinds": null}));
    }
}
