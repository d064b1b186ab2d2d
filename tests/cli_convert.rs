//! `hypostyle convert`: between all formats, without loss where the format allows it, whole or not at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use program::{Folder, table};

fn read(path: &Path) -> (SchemaRef, RecordBatch) {
    let reader = FileReader::try_new(File::open(path).unwrap(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    (schema.clone(), concat_batches(&schema, &batches).unwrap())
}

#[test]
fn text_formats_are_exact() {
    let folder = Folder::new();
    table(&folder);
    let printed = folder.ok(&["convert", "table", "out.ndjson"]);
    assert_eq!(printed, format!("4 rows written to out.ndjson, {} B\n", folder.get("out.ndjson").len()));
    assert_eq!(
        folder.text("out.ndjson"),
        r#"{"t":"2013-01-01T05:00:00Z","carrier":"UA","n":1,"x":1.5,"window_start":"2013-01-01T00:00:00Z"}
{"t":"2013-01-01T07:00:00.25Z","carrier":"UA","n":-30,"x":2.0,"window_start":"2013-01-01T00:00:00Z"}
{"t":"2013-01-01T05:00:00Z","carrier":"a \"b\", c","n":4,"x":1e100,"window_start":"2013-01-01T00:00:00Z"}
{"t":"2013-01-02T05:00:00Z","carrier":"AA","n":null,"x":null,"window_start":"2013-01-02T00:00:00Z"}
"#
    );
    folder.ok(&["convert", "table", "out.csv", "--columns", "t,carrier,n", "--where", "n < 1000", "--limit", "3"]);
    assert_eq!(
        folder.text("out.csv"),
        "t,carrier,n\n2013-01-01T05:00:00Z,UA,1\n2013-01-01T07:00:00.25Z,UA,-30\n2013-01-01T05:00:00Z,\"a \"\"b\"\", c\",4\n"
    );
}

#[test]
fn a_walk_through_all_formats_changes_nothing() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "a.arrow"]);
    let (schema, rows) = read(&folder.path("a.arrow"));
    for (from, to) in [
        ("a.arrow", "b.parquet"),
        ("b.parquet", "c.ndjson"),
        ("c.ndjson", "d.csv"),
        ("d.csv", "e.parquet"),
        ("e.parquet", "f.arrow"),
    ] {
        folder.ok(&["convert", from, to]);
    }
    let (last_schema, last) = read(&folder.path("f.arrow"));
    assert_eq!(last.columns(), rows.columns());
    for (a, b) in schema.fields().iter().zip(last_schema.fields()) {
        // Text does not say what may be null.
        assert_eq!((a.name(), a.data_type()), (b.name(), b.data_type()));
    }
    assert_eq!(folder.ok(&["scan", "f.arrow"]), folder.ok(&["scan", "b.parquet"]));
}

#[test]
fn arrow_through_parquet_and_back_is_exact() {
    let contents = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/contents");
    let folder = Folder::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(contents).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (schema, rows) = read(&path);
        if schema.fields().iter().any(|f| f.data_type().is_nested()) {
            continue;
        }
        folder.ok(&["convert", path.to_str().unwrap(), "x.parquet"]);
        folder.ok(&["convert", "x.parquet", "y.arrow"]);
        let (back_schema, back) = read(&folder.path("y.arrow"));
        assert_eq!(back_schema, schema, "{name}");
        assert_eq!(back.num_rows(), rows.num_rows(), "{name}");
        for (at, field) in schema.fields().iter().enumerate() {
            // Dictionaries may hold their values in another order.
            let plain = |batch: &RecordBatch| match field.data_type() {
                DataType::Dictionary(_, values) => arrow_cast::cast(batch.column(at), values).unwrap(),
                _ => batch.column(at).clone(),
            };
            assert_eq!(&plain(&back), &plain(&rows), "{name}: {}", field.name());
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn a_table_is_written_too() {
    let folder = Folder::new();
    table(&folder);
    let printed = folder.ok(&["convert", "table", "copy/", "--where", "n > 0"]);
    assert!(printed.starts_with("2 rows written to copy/, "), "{printed}");
    folder.ok(&["convert", "table", "expected.csv", "--where", "n > 0"]);
    folder.ok(&["convert", "copy", "copied.csv"]);
    assert_eq!(folder.text("copied.csv"), folder.text("expected.csv"));
    assert!(folder.ok(&["inspect", "copy"]).contains("copy: table, version 1, 2 rows in 1 file, "));
    let files = folder.files();
    for to in ["copy", "table/", "copy/_delta_log"] {
        let e = folder.fails(&["convert", "table", to]);
        assert!(e.contains("is a folder with files in it"), "{e}");
    }
    let integers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/contents/integers.arrow");
    let e = folder.fails(&["convert", integers.to_str().unwrap(), "other/"]);
    assert!(e.contains("column uint8_required: "), "{e}");
    assert_eq!(folder.files(), files);
}

#[test]
fn no_rows_and_no_columns() {
    let folder = Folder::new();
    let metadata = [("who".to_owned(), "me".to_owned())].into();
    let schema = Schema::new(vec![
        Field::new("a", DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()), true),
        Field::new("b", DataType::UInt16, false),
    ])
    .with_metadata(metadata);
    let write = |name: &str, schema: &Schema| {
        FileWriter::try_new(File::create(folder.path(name)).unwrap(), schema).unwrap().finish().unwrap();
    };
    write("none.arrow", &schema);
    write("nothing.arrow", &Schema::empty());
    for name in ["none", "nothing"] {
        let [from, file, back] = [".arrow", ".parquet", ".back.arrow"].map(|end| format!("{name}{end}"));
        folder.ok(&["convert", &from, &file]);
        folder.ok(&["convert", &file, &back]);
        let ((schema, rows), (back_schema, back)) = (read(&folder.path(&from)), read(&folder.path(&back)));
        assert_eq!((back_schema, back.num_rows()), (schema, rows.num_rows()), "{name}");
    }
    assert_eq!(folder.ok(&["scan", "none.parquet", "--count"]), "0\n");
    folder.ok(&["convert", "none.arrow", "none.csv"]);
    assert_eq!(folder.text("none.csv"), "a,b\n");
}

#[test]
fn streams_are_read() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "a.arrow"]);
    let (schema, rows) = read(&folder.path("a.arrow"));
    let mut writer = StreamWriter::try_new(File::create(folder.path("s.arrows")).unwrap(), &schema).unwrap();
    writer.write(&rows).unwrap();
    writer.write(&rows.slice(1, 2)).unwrap();
    writer.finish().unwrap();
    assert_eq!(folder.ok(&["scan", "s.arrows", "--count"]), "6\n");
    folder.ok(&["convert", "s.arrows", "t.arrow"]);
    assert_eq!(read(&folder.path("t.arrow")).1.num_rows(), 6);
}

#[test]
fn parquet_is_written_as_asked() {
    let folder = Folder::new();
    folder
        .put("in.ndjson", (0..5000).map(|n| format!("{{\"n\":{},\"s\":\"text {}\"}}\n", n, n % 7)).collect::<String>());
    let options = ["--compression", "snappy", "--row-group-rows", "2000", "--page-bytes", "1k", "--no-dictionary"];
    folder.ok(&[["convert", "in.ndjson", "out.parquet"].as_slice(), &options].concat());
    let json: serde_json::Value =
        serde_json::from_str(&folder.ok(&["inspect", "out.parquet", "--json", "--pages"])).unwrap();
    let groups = json["row_groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|g| g["rows"].as_i64().unwrap()).collect::<Vec<_>>(), [2000, 2000, 1000]);
    for column in groups.iter().flat_map(|g| g["columns"].as_array().unwrap()) {
        assert_eq!(column["codec"], "SNAPPY");
        assert!(!column["encodings"].as_array().unwrap().iter().any(|e| e.as_str().unwrap().contains("DICTIONARY")));
        assert!(column["pages"].as_array().unwrap().len() > 5);
    }
    folder.ok(&["convert", "in.ndjson", "small.parquet", "--row-group-bytes", "4k"]);
    let json: serde_json::Value = serde_json::from_str(&folder.ok(&["inspect", "small.parquet", "--json"])).unwrap();
    assert!(json["row_groups"].as_array().unwrap().len() > 1, "{json}");
    assert_eq!(folder.ok(&["scan", "small.parquet", "--count", "--where", "s = 'text 3'"]), "714\n");
}

#[test]
fn encodings_are_written_as_asked() {
    let folder = Folder::new();
    let rows = (0..300).map(|n| format!("{{\"n\":{n},\"x\":{}.5,\"s\":\"text {n}\",\"b\":{}}}\n", n * n, n % 7 < 3));
    folder.put("in.ndjson", rows.collect::<String>());
    let text = folder.ok(&["scan", "in.ndjson"]);
    let of = |options: &[&str]| -> Vec<serde_json::Value> {
        folder.ok(&[["convert", "in.ndjson", "out.parquet"].as_slice(), options].concat());
        assert_eq!(folder.ok(&["scan", "out.parquet"]), text, "{options:?}");
        let json = folder.ok(&["inspect", "out.parquet", "--json", "--pages"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["row_groups"][0]["columns"].as_array().unwrap().clone()
    };
    let data_page = |column: &serde_json::Value| column["pages"].as_array().unwrap().last().unwrap().clone();
    for (version, kind) in [("1", "DATA_PAGE"), ("2", "DATA_PAGE_V2")] {
        let asked = [
            ("n", "delta-binary-packed", "DELTA_BINARY_PACKED"),
            ("x", "byte-stream-split", "BYTE_STREAM_SPLIT"),
            ("s", "DELTA_BYTE_ARRAY", "DELTA_BYTE_ARRAY"),
            ("b", "rle", "RLE"),
        ];
        let flags: Vec<String> =
            asked.iter().map(|(name, encoding, _)| format!("--encoding={name}={encoding}")).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--page-version", version]).collect();
        for (column, (name, _, encoding)) in of(&flags).iter().zip(asked) {
            assert_eq!(
                (&data_page(column)["encoding"], &data_page(column)["kind"]),
                (&encoding.into(), &kind.into()),
                "{name}"
            );
        }
    }
    let columns = of(&["--compatibility", "preview", "--encoding", "x=alp", "--encoding", "s=dictionary"]);
    assert_eq!(data_page(&columns[1])["encoding"], "ALP");
    assert_eq!(data_page(&columns[2])["encoding"], "RLE_DICTIONARY");
    assert!(columns.iter().all(|c| data_page(c)["kind"] == "DATA_PAGE_V2"));
    let columns = of(&["--column-compression", "s=snappy", "--no-statistics"]);
    let codecs: Vec<_> = columns.iter().map(|c| c["codec"].as_str().unwrap()).collect();
    assert_eq!(codecs, ["ZSTD", "ZSTD", "SNAPPY", "ZSTD"]);
    for (flag, says) in [
        (
            ["--encoding", "s=byte-stream-split"],
            "column s: BYTE_STREAM_SPLIT is not for its values: PLAIN, RLE_DICTIONARY, ",
        ),
        (["--encoding", "nobody=plain"], "there is none, only n, x, s, b"),
    ] {
        let e = folder.fails(&[["convert", "in.ndjson", "out.parquet"].as_slice(), &flag].concat());
        assert!(e.contains(says), "{e}");
    }
    for (flag, says) in [
        (["--page-version", "3"], "page version \"3\" is not one of 1, 2"),
        (["--encoding", "s=zip"], "encoding \"zip\" is not one of PLAIN"),
        (["--encoding", "s"], "\"s\" is not COLUMN=VALUE"),
        (["--compatibility", "all"], "compatibility \"all\" is not one of universal, modern, preview"),
    ] {
        let ran = folder.run(&[["convert", "in.ndjson", "out.parquet"].as_slice(), &flag].concat());
        assert!(ran.code == Some(2) && ran.stderr.contains(says), "{}", ran.stderr);
    }
}

#[test]
fn a_schema_says_what_text_means() {
    let folder = Folder::new();
    let schema = r#"{"fields":[{"name":"at","type":"timestamp","unit":"ms"},{"name":"fare","type":"decimal(7,2)"}]}"#;
    folder.put("schema.json", schema);
    folder.put("in.ndjson", "{\"at\":1500,\"fare\":12.5}\n{\"fare\":\"0.01\"}\n");
    folder.put("in.csv", "fare,at\n12.5,1500\n0.01,\n");
    let expected = "fare,at\n12.50,1970-01-01T00:00:01.5Z\n0.01,\n";
    for from in ["in.ndjson", "in.csv"] {
        folder.ok(&["convert", from, "out.parquet", "--schema", "schema.json", "--columns", "fare,at"]);
        folder.ok(&["convert", "out.parquet", "out.csv"]);
        assert_eq!(folder.text("out.csv"), expected, "{from}");
    }
}

#[test]
fn compressed_ndjson_is_read() {
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flights.ndjson.gz");
    let folder = Folder::new();
    assert_eq!(folder.ok(&["scan", flights.to_str().unwrap(), "--count", "--where", "dest = 'IAH'"]), "419\n");
}

#[test]
fn nothing_half_written_replaces_what_was_there() {
    let folder = Folder::new();
    folder.put("out.parquet", "precious");
    let mut lines: String = (0..50_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    lines.push_str("{\"n\":\n");
    folder.put("in.ndjson", &lines);
    folder.put("schema.json", r#"{"fields":[{"name":"n","type":"int64"}]}"#);
    let e = folder.fails(&["convert", "in.ndjson", "out.parquet", "--schema", "schema.json"]);
    assert!(e.starts_with("in.ndjson: at byte 588890: ") && e.contains("the record is bad: "), "{e}");
    assert_eq!(folder.text("out.parquet"), "precious");
    assert_eq!(folder.files(), ["in.ndjson", "out.parquet", "schema.json"]);
    // What is whole does replace it, also through a link.
    folder.put("in.ndjson", "{\"n\":1}\n");
    std::os::unix::fs::symlink(folder.path("out.parquet"), folder.path("link.parquet")).unwrap();
    folder.ok(&["convert", "in.ndjson", "link.parquet"]);
    assert!(folder.path("link.parquet").is_symlink());
    assert_eq!(folder.ok(&["scan", "out.parquet", "--count"]), "1\n");
    // From a file to itself.
    folder.ok(&["convert", "out.parquet", "out.parquet", "--where", "n = 2"]);
    assert_eq!(folder.ok(&["scan", "out.parquet", "--count"]), "0\n");
}

const KEYS: &str = r#"{"footer_key": "30313233343536373839303132333435",
 "column_keys": {"n": "31323334353637383930313233343530"}, "aad_prefix": "the 1st"}"#;

#[test]
fn encrypted_files_are_written_and_read_with_their_keys() {
    let folder = Folder::new();
    table(&folder);
    folder.put("keys.json", KEYS.as_bytes());
    folder.put("one.json", br#"{"footer_key": "30313233343536373839303132333435", "aad_prefix": "the 1st"}"#);
    folder.put("wrong.json", br#"{"footer_key": "303132333435363738393031323334"}"#);
    folder.ok(&["convert", "table", "plain.arrow"]);
    let (_, rows) = read(&folder.path("plain.arrow"));
    for flags in [&[][..], &["--plain-footer"], &["--encrypt-cipher", "gcm-ctr"], &["--no-stored-aad-prefix"]] {
        folder.ok(&[&["convert", "plain.arrow", "a.parquet", "--encrypt-keys", "keys.json"], flags].concat());
        folder.ok(&["convert", "a.parquet", "back.arrow", "--keys", "keys.json"]);
        assert_eq!(read(&folder.path("back.arrow")).1.columns(), rows.columns(), "{flags:?}");
        let printed = folder.ok(&["scan", "a.parquet", "--keys", "one.json", "--columns", "carrier", "--count"]);
        assert_eq!(printed, "4\n");
        let e = folder.fails(&["scan", "a.parquet", "--keys", "one.json", "--columns", "n"]);
        assert_eq!(e, "./a.parquet: column n: it is encrypted, and its key is not given");
        let inspected = folder.ok(&["inspect", "a.parquet", "--keys", "one.json"]);
        assert!(inspected.contains("  column n: it is encrypted, and its key is not given\n"), "{inspected}");
        let inspected = folder.ok(&["inspect", "a.parquet", "--keys", "keys.json", "--pages"]);
        assert!(inspected.contains("  encrypted: n\n"), "{inspected}");
        let e = folder.fails(&["scan", "a.parquet", "--columns", "n"]);
        assert!(e.contains("its key is not given"), "{e}");
    }
    let e = folder.fails(&["scan", "a.parquet", "--keys", "wrong.json"]);
    assert_eq!(e, "wrong.json: the key of the footer is not 32, 48 or 64 hexadecimal digits");
    folder.put("no.json", br#"{"footer_key": "30313233343536373839303132333435", "more": 1}"#);
    let e = folder.fails(&["scan", "a.parquet", "--keys", "no.json"]);
    assert!(e.starts_with("no.json: is no file of keys") && !e.contains("3031"), "{e}");
}

#[test]
fn bloom_filters_are_written_and_asked() {
    let folder = Folder::new();
    let rows: String =
        (0..3000u64).map(|i| format!("{{\"id\":{}}}\n", i.wrapping_mul(2_654_435_761) % 1_000_003)).collect();
    folder.put("a.ndjson", rows.as_bytes());
    folder.ok(&["convert", "a.ndjson", "a.parquet", "--row-group-rows", "1000", "--bloom-filter", "id=0.001"]);
    let inspected = folder.ok(&["inspect", "a.parquet", "--json"]);
    assert_eq!(inspected.matches("\"bloom_filter\": true").count(), 3, "{inspected}");
    let id = 2500u64.wrapping_mul(2_654_435_761) % 1_000_003;
    let ran = folder.run(&["scan", "a.parquet", "--where", &format!("id = {id}"), "--count"]);
    assert_eq!(ran.stdout, "1\n");
    assert!(ran.stderr.contains("row groups 1 read, 2 skipped (2 by Bloom filter);"), "{}", ran.stderr);
    let ran = folder.run(&["convert", "a.ndjson", "b.parquet", "--bloom-filter", "id=2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("a probability between 0 and 1 is needed"), "{}", ran.stderr);
}
