//! Files whose footer is lost: what the pages alone give back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod program;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_select::concat::concat_batches;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::footer;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions, WrittenLike, recover};
use hypostyle::parquet::splice::rebuild;
use hypostyle::parquet::write::{FileWriter, PageVersion, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use program::Folder;

fn batch(rows: i32) -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|r| (r % 7 != 2).then(|| (0..r % 4).map(move |i| Some(r * 10 + i)))),
    );
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(i64::from))) as ArrayRef, false),
        ("other", Arc::new(Int64Array::from_iter_values((0..rows).map(|r| i64::from(r) * 3))), false),
        ("list", Arc::new(list), true),
        (
            "text",
            Arc::new((0..rows).map(|r| (r % 3 > 0).then(|| format!("text {}", r % 9))).collect::<StringArray>()),
            true,
        ),
    ])
    .unwrap()
}

fn write(rows: i32, options: WriterOptions) -> Vec<u8> {
    let storage = Memory::new();
    let batch = batch(rows);
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("f").unwrap();
    input.read(0..input.bytes()).unwrap().to_vec()
}

/// The rows that come back of `bytes`, with the help of `like`.
fn recovered(bytes: &[u8], like: &[u8]) -> hypostyle::Result<Option<RecordBatch>> {
    let storage = Memory::new();
    storage.put("broken", bytes.to_vec()).unwrap();
    storage.put("like", like.to_vec()).unwrap();
    let like = FileReader::open(storage.open("like").unwrap(), ReaderOptions::default()).unwrap();
    let input = storage.open("broken").unwrap();
    let found = recover(&input, &WrittenLike::file(&like)?, &ReaderOptions::default())?;
    if found.metadata.row_groups.is_empty() {
        return Ok(None);
    }
    rebuild(&input, found.metadata, found.end, storage.create("saved").unwrap()).unwrap();
    let saved = FileReader::open(storage.open("saved").unwrap(), ReaderOptions::default()).unwrap();
    assert!(saved.verify().is_sound(), "{:?}", saved.verify());
    let batches: Vec<_> = saved.scan(ScanOptions::default()).unwrap().map(|b| b.unwrap()).collect();
    Ok(Some(concat_batches(saved.schema(), &batches).unwrap()))
}

fn whole(bytes: &[u8]) -> FileReader {
    let storage = Memory::new();
    storage.put("f", bytes.to_vec()).unwrap();
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()).unwrap()
}

fn footer_start(bytes: &[u8]) -> usize {
    footer::locate(*bytes.last_chunk().unwrap(), bytes.len() as u64).unwrap().0.start as usize
}

#[test]
fn complete_row_groups_come_back_from_their_pages() {
    for version in [PageVersion::V1, PageVersion::V2] {
        for compression in [Compression::Uncompressed, Compression::Zstd(3)] {
            for dictionary in [true, false] {
                let mut options = WriterOptions::default().with_page_rows(50).with_row_group_rows(100);
                options = options.with_page_version(Some(version)).with_compression(compression);
                options.dictionary = dictionary;
                let like = write(130, options.clone());
                // The last group is a short one.
                let bytes = write(330, options);
                let found = recovered(&bytes[..footer_start(&bytes)], &like).unwrap().unwrap();
                assert_eq!(found.num_rows(), 330, "{version:?} {compression} {dictionary}");
                assert_eq!(found.columns(), batch(330).columns(), "{version:?} {compression} {dictionary}");
                // Torn in the third group: two are left.
                let torn = whole(&bytes).pages(2, 3).unwrap().last().unwrap().offset as usize;
                let found = recovered(&bytes[..torn + 3], &like).unwrap().unwrap();
                assert_eq!(found.num_rows(), 200, "{version:?} {compression} {dictionary}");
                assert_eq!(found.columns(), batch(330).slice(0, 200).columns());
            }
        }
    }
}

#[test]
fn what_is_not_complete_is_not_made_up() {
    let options = WriterOptions::default().with_page_rows(50).with_row_group_rows(100);
    let like = write(100, options.clone());
    let bytes = write(100, options);
    let last = whole(&bytes).pages(0, 3).unwrap().last().unwrap().offset as usize;
    assert!(recovered(&bytes[..last], &like).unwrap().is_none());
    assert!(recovered(b"PAR1", &like).unwrap().is_none());
    assert!(recovered(b"nothing", &like).unwrap_err().to_string().contains("does not begin with PAR1"));
    // Every cut ends in complete groups or none.
    for cut in (4..bytes.len()).step_by(97) {
        let found = recovered(&bytes[..cut], &like).unwrap();
        assert!(found.is_none_or(|found| found.num_rows() == 100));
    }
}

#[test]
fn the_program_recovers_by_a_sibling() {
    let folder = Folder::new();
    let options = WriterOptions::default().with_page_rows(50).with_row_group_rows(100);
    folder.put("like.parquet", write(100, options.clone()));
    let bytes = write(250, options);
    folder.put("broken.parquet", &bytes[..footer_start(&bytes)]);
    assert!(folder.fails(&["verify", "broken.parquet"]).contains("not a Parquet file, or cut short"));
    let said = folder.ok(&["recover", "broken.parquet", "saved.parquet", "--like", "like.parquet"]);
    assert!(said.starts_with("250 rows in 3 row groups written to saved.parquet, "), "{said}");
    assert_eq!(folder.ok(&["scan", "saved.parquet", "--count"]), "250\n");
    assert!(folder.ok(&["verify", "saved.parquet"]).contains("sound"));
}

#[test]
fn the_program_recovers_by_a_schema_alone() {
    let folder = Folder::new();
    let rows: String = (0..250).map(|n| format!("{{\"n\":{n},\"text\":\"text {}\",\"f\":{n}.5}}\n", n % 9)).collect();
    folder.put("in.ndjson", &rows);
    for codec in ["zstd:3", "snappy", "none"] {
        let options = ["--compression", codec, "--row-group-rows", "100", "--page-rows", "50"];
        folder.ok(&[&["convert", "in.ndjson", "f.parquet"], options.as_slice()].concat());
        let bytes = folder.get("f.parquet");
        folder.put("broken.parquet", &bytes[..footer_start(&bytes)]);
        let schema =
            r#"{"fields":[{"name":"n","type":"int64"},{"name":"text","type":"utf8"},{"name":"f","type":"float64"}]}"#;
        folder.put("schema.json", schema);
        let recover = |schema: &str, rows: &str| {
            folder.run(
                &[
                    &["recover", "broken.parquet", "saved.parquet", "--schema", schema],
                    ["--compression", codec, "--row-group-rows", rows].as_slice(),
                ]
                .concat(),
            )
        };
        let said = recover("schema.json", "100");
        assert!(said.stdout.starts_with("250 rows in 3 row groups written to saved.parquet, "), "{said:?}");
        folder.ok(&["convert", "saved.parquet", "out.ndjson"]);
        assert_eq!(folder.text("out.ndjson"), rows);
        assert!(folder.ok(&["verify", "saved.parquet"]).contains("sound"));
        // Columns of other types are not what the pages hold.
        folder.put("other.json", schema.replace("utf8", "bool"));
        let said = recover("other.json", "100");
        assert!(said.code == Some(1) && said.stderr.contains("no complete row group was found"), "{said:?}");
    }
}

#[test]
fn the_program_recovers_by_a_token() {
    let folder = Folder::new();
    let storage = hypostyle::storage::Local::new(folder.path("")).unwrap();
    let options = WriterOptions::default().with_page_rows(50).with_row_group_rows(100);
    let batch = batch(250);
    let mut writer = FileWriter::new(storage.create("f.parquet").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    let token = writer.pause().unwrap();
    // What came after the pause is lost with the writer, who dies.
    writer.write(&batch.slice(0, 120)).unwrap();
    std::mem::forget(writer);
    folder.put("token", token.to_bytes().unwrap());
    let unfinished = storage.list_unfinished().unwrap();
    let said = folder.ok(&["recover", &unfinished[0].path, "saved.parquet", "--token", "token"]);
    assert!(said.starts_with("250 rows in 3 row groups written to saved.parquet, "), "{said}");
    assert!(folder.ok(&["verify", "saved.parquet"]).contains("sound"));
    let saved = FileReader::open(storage.open("saved.parquet").unwrap(), ReaderOptions::default()).unwrap();
    let batches: Vec<_> = saved.scan(ScanOptions::default()).unwrap().map(|b| b.unwrap()).collect();
    assert_eq!(concat_batches(saved.schema(), &batches).unwrap().columns(), batch.columns());
    // The token is of another file's bytes: what it tells of does not decode.
    let mut bytes = folder.get(&unfinished[0].path);
    bytes.truncate(200);
    folder.put("short.parquet", bytes);
    folder.fails(&["recover", "short.parquet", "none.parquet", "--token", "token"]);
    assert!(!folder.path("none.parquet").exists());
}

/// Rows of a struct with a list, of a list of structs, and of a map.
fn nested_rows(rows: i32) -> String {
    let row = |n: i32| {
        let tags = (0..n % 4).map(|i| format!("{{\"k\":\"tag {i}\",\"n\":{}}}", n + i)).collect::<Vec<_>>().join(",");
        let ids = (0..n % 3).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        let sums = (0..n % 2).map(|i| format!("\"{i}\":{n}")).collect::<Vec<_>>().join(",");
        format!("{{\"n\":{n},\"at\":{{\"x\":{n}.5,\"ids\":[{ids}]}},\"tags\":[{tags}],\"sums\":{{{sums}}}}}\n")
    };
    (0..rows).map(row).collect()
}

const NESTED: &str = r#"{"fields":[{"name":"n","type":"int64"},
    {"name":"at","type":"struct","fields":[
        {"name":"x","type":"float64"},{"name":"ids","type":"list","element":{"type":"int64"}}]},
    {"name":"tags","type":"list","element":{"type":"struct","fields":[
        {"name":"k","type":"utf8"},{"name":"n","type":"int64"}]}},
    {"name":"sums","type":"map","key":{"type":"utf8"},"value":{"type":"int64"}}]}"#;

fn nested_batch(rows: i32) -> RecordBatch {
    use arrow_schema::{DataType, Field, Schema};
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let list = |element: DataType| DataType::List(Arc::new(field("element", element)));
    let at = vec![field("x", DataType::Float64), field("ids", list(DataType::Int64))];
    let tag = vec![field("k", DataType::Utf8), field("n", DataType::Int64)];
    let entry = vec![Field::new("key", DataType::Utf8, false), field("value", DataType::Int64)];
    let entries = Arc::new(Field::new("key_value", DataType::Struct(entry.into()), false));
    let schema = Schema::new(vec![
        field("n", DataType::Int64),
        field("at", DataType::Struct(at.into())),
        field("tags", list(DataType::Struct(tag.into()))),
        field("sums", DataType::Map(entries, false)),
    ]);
    let mut decoder = arrow_json::ReaderBuilder::new(Arc::new(schema)).build_decoder().unwrap();
    decoder.decode(nested_rows(rows).as_bytes()).unwrap();
    decoder.flush().unwrap().unwrap()
}

#[test]
fn the_program_recovers_nested_columns_by_a_schema_alone() {
    let batch = nested_batch(250);
    for version in [PageVersion::V1, PageVersion::V2] {
        let folder = Folder::new();
        let storage = hypostyle::storage::Local::new(folder.path("")).unwrap();
        let mut options = WriterOptions::default().with_page_rows(30).with_row_group_rows(100);
        options = options.with_page_version(Some(version)).with_compression(Compression::Snappy);
        options.dictionary = version == PageVersion::V1;
        let mut writer = FileWriter::new(storage.create("f.parquet").unwrap(), batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let bytes = folder.get("f.parquet");
        folder.put("broken.parquet", &bytes[..footer_start(&bytes)]);
        let recover = |schema: &str| {
            folder.put("schema.json", schema);
            let how = ["--compression", "snappy", "--row-group-rows", "100"];
            let what = ["recover", "broken.parquet", "saved.parquet", "--schema", "schema.json"];
            folder.run(&[what.as_slice(), &how].concat())
        };
        let said = recover(NESTED);
        assert!(said.stdout.starts_with("250 rows in 3 row groups written to saved.parquet, "), "{said:?}");
        assert!(folder.ok(&["verify", "saved.parquet"]).contains("sound"));
        let saved = FileReader::open(storage.open("saved.parquet").unwrap(), ReaderOptions::default()).unwrap();
        let batches: Vec<_> = saved.scan(ScanOptions::default()).unwrap().map(|b| b.unwrap()).collect();
        assert_eq!(concat_batches(saved.schema(), &batches).unwrap(), batch, "{version:?}");
        // Other levels, another shape or other types are not what the pages hold.
        for (from, to) in [
            (r#""element":{"type":"int64"}"#, r#""element":{"type":"int64","nullable":false}"#),
            (r#""name":"tags","type":"list""#, r#""name":"tags","nullable":false,"type":"list""#),
            (r#""element":{"type":"int64"}"#, r#""element":{"type":"list","element":{"type":"int64"}}"#),
            (r#""key":{"type":"utf8"}"#, r#""key":{"type":"int64"}"#),
        ] {
            assert!(NESTED.contains(from));
            let said = recover(&NESTED.replacen(from, to, 1));
            assert!(said.code == Some(1) && said.stderr.contains("no complete row group was found"), "{to}: {said:?}");
        }
    }
}

#[test]
fn pages_that_fit_other_row_groups_too_are_told_of() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|n| format!("{{\"a\":{},\"b\":{}}}\n", n % 7, n % 5 * 1000)).collect();
    folder.put("in.ndjson", &rows);
    let schema = r#"{"fields":[{"name":"a","type":"int64"},{"name":"b","type":"int64"}]}"#;
    folder.put("schema.json", schema);
    for (options, rows, is_clear) in [
        // a a | b b: as far as pages tell, a b | a b in groups of 50 rows.
        (&["--no-dictionary", "--page-rows", "50"][..], "100", false),
        // Told wrongly, the pages of two groups make one.
        (&["--no-dictionary", "--page-rows", "100"], "200", false),
        (&["--page-rows", "50"], "100", true),
    ] {
        let convert = ["convert", "in.ndjson", "f.parquet", "--row-group-rows", "100"];
        folder.ok(&[&convert, options].concat());
        let bytes = folder.get("f.parquet");
        folder.put("broken.parquet", &bytes[..footer_start(&bytes)]);
        let recover =
            ["recover", "broken.parquet", "saved.parquet", "--schema", "schema.json", "--row-group-rows", rows];
        let said = folder.run(&recover);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.stderr.is_empty(), is_clear, "{options:?}: {said:?}");
        assert!(is_clear || said.stderr.contains("with other values in each column"), "{said:?}");
    }
}

#[test]
fn recovery_stays_within_its_memory() {
    let options = WriterOptions::default().with_page_rows(5).with_row_group_rows(100);
    let bytes = write(1000, options);
    let storage = Memory::new();
    storage.put("broken", bytes[..footer_start(&bytes)].to_vec()).unwrap();
    let like = WrittenLike::file(&whole(&bytes)).unwrap();
    let input = storage.open("broken").unwrap();
    let few = ReaderOptions::default().with_memory_bytes(1 << 16);
    let e = recover(&input, &like, &few).unwrap_err();
    assert!(matches!(e, hypostyle::Error::Limit(_)), "{e}");
    let found = recover(&input, &like, &ReaderOptions::default()).unwrap();
    assert_eq!(found.metadata.num_rows, 1000);
}
