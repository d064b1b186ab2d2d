//! SQL over files and tables by DataFusion: the same answers as over the same rows in memory, and what is handed down.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod data;
mod queries;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use hypostyle::Error;
use hypostyle::datafusion::Provider;
use hypostyle::parquet::read::ReaderOptions;
use hypostyle::storage::{Memory, Storage};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn session() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3).with_batch_size(512))
}

fn in_memory(batch: RecordBatch) -> Arc<MemTable> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn of_files(storage: &Memory, options: ReaderOptions) -> Provider {
    let files = storage.list("").unwrap();
    Provider::files(files.iter().map(|file| storage.open(&file.path).unwrap()), options).unwrap()
}

/// Sessions with the same tables: read by this crate, and in memory.
struct Both {
    ours: SessionContext,
    memory: SessionContext,
}

impl Both {
    /// `t` and `o` in files.
    fn files(options: ReaderOptions) -> Both {
        let both = Both { ours: session(), memory: session() };
        for (name, rows) in [("t", data::rows()), ("o", data::others())] {
            both.ours.register_table(name, Arc::new(of_files(&data::files(&rows), options.clone()))).unwrap();
            both.memory.register_table(name, in_memory(rows)).unwrap();
        }
        both
    }

    /// `t` in a table, `o` in files.
    fn table() -> Both {
        let both = Both::files(ReaderOptions::default());
        let (table, schema) = data::table(&data::rows());
        for context in [&both.ours, &both.memory] {
            context.deregister_table("t").unwrap().unwrap();
        }
        both.ours.register_table("t", Arc::new(Provider::table(table, ReaderOptions::default()).unwrap())).unwrap();
        both.memory.register_table("t", in_memory(data::with_part(&data::rows(), &schema))).unwrap();
        both
    }

    /// The answer to a query, which both must give.
    async fn same(&self, query: &str) -> Vec<String> {
        let ours = rows(&self.ours, query).await;
        let expected = rows(&self.memory, query).await;
        let first = ours.iter().zip(&expected).find(|(a, b)| a != b);
        assert_eq!((ours.len(), first), (expected.len(), None), "{query}");
        ours
    }
}

/// The rows as text; sorted, but where the query orders them.
async fn rows(context: &SessionContext, query: &str) -> Vec<String> {
    let batches = context.sql(query).await.unwrap_or_else(|e| panic!("{query}: {e}")).collect().await;
    let mut rows = Vec::new();
    for batch in batches.unwrap_or_else(|e| panic!("{query}: {e}")) {
        let options = FormatOptions::default().with_null("null");
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    if !query.contains("limit") {
        rows.sort();
    }
    rows
}

/// The physical plan, a node a line.
async fn plan(context: &SessionContext, query: &str) -> String {
    let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
    datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string()
}

#[test]
fn queries_have_the_answers_that_rows_in_memory_give() {
    runtime().block_on(async {
        for both in [
            Both::files(ReaderOptions::default()),
            Both::files(ReaderOptions::default().with_batch_rows(37)),
            Both::table(),
        ] {
            let mut found = 0;
            for query in queries::QUERIES {
                found += both.same(query).await.len();
            }
            assert!(found > 1500, "{found} rows");
        }
    });
}

#[test]
fn conditions_select_the_same_rows_and_are_handed_down_where_they_mean_the_same() {
    runtime().block_on(async {
        for (both, name) in [(Both::files(ReaderOptions::default()), "files"), (Both::table(), "table")] {
            let of_t = queries::CONDITIONS.iter().map(|condition| ("t", condition));
            for (table, (how, condition)) in of_t.chain(queries::OTHER_CONDITIONS.iter().map(|c| ("o", c))) {
                let query = format!("select id from {table} where {condition}");
                let rows = both.same(&query).await;
                assert_ne!(rows.len(), data::ROWS, "{condition} is true of all");
                let plan = plan(&both.ours, &query).await;
                let found = match (plan.contains("predicate="), plan.contains("FilterExec")) {
                    (true, false) => '=',
                    (true, true) => '~',
                    _ => '-',
                };
                assert_eq!(found, *how, "{name}: {condition}\n{plan}");
            }
        }
    });
}

#[test]
fn a_plan_tells_what_is_handed_down() {
    runtime().block_on(async {
        let both = Both::table();
        let query = "select city from t where grp = 3 and small > 7 and length(city) > 2 limit 10";
        let shown = plan(&both.ours, query).await;
        let scan = shown.lines().last().unwrap().trim();
        // The length is the engine's business, so the limit is too.
        assert_eq!(scan, "Hypostyle: source=memory:, parts=3, columns=[city], predicate=grp = 3 AND small > 7");
        let shown = plan(&both.ours, "select city from t where grp = 3 limit 10").await;
        let scan = shown.lines().last().unwrap().trim();
        assert_eq!(scan, "Hypostyle: source=memory:, parts=3, columns=[city], predicate=grp = 3, limit=10");
        assert_eq!(both.same("select count(*) from (select city from t where grp = 3 limit 10)").await, ["10"]);
        let shown = rows(&both.ours, "explain analyze select city from t where grp = 3").await.join("\n");
        // Of three files the last one is passed over; the others lie in two parts each. of their six row groups one, and pages with 100 rows of 400.
        for count in
            ["files_read=4,", "output_rows=100,", "row_groups_read=1,", "row_groups_skipped=5]", "pages_skipped=6,"]
        {
            assert!(shown.contains(count), "{count} {shown}");
        }
    });
}

#[test]
fn what_the_log_and_footers_tell_is_not_read() {
    runtime().block_on(async {
        let query = "select count(*), max(id), min(grp), count(small) from t";
        let files = Both::files(ReaderOptions::default());
        let shown = plan(&files.ours, query).await;
        assert!(!shown.contains("Hypostyle:"), "{shown}");
        assert_eq!(files.same(query).await.len(), 1);
        // Of -0.0, NaN and files without statistics nothing is told exactly.
        for (both, query) in
            [(&files, "select max(f) from t"), (&files, "select min(f) from t"), (&Both::table(), query)]
        {
            let shown = plan(&both.ours, query).await;
            assert!(shown.contains("Hypostyle:"), "{query}: {shown}");
            both.same(query).await;
        }
        // With a filter there is no telling.
        let shown = plan(&files.ours, "select count(*) from t where grp = 3").await;
        assert!(shown.contains("Hypostyle:"), "{shown}");
    });
}

#[test]
fn an_error_comes_out_as_it_is() {
    runtime().block_on(async {
        let storage = data::files(&data::rows());
        let path = "1.parquet";
        let mut bytes = storage.open(path).unwrap().read(0..storage.open(path).unwrap().bytes()).unwrap().to_vec();
        // The first page of the first column.
        bytes[40] ^= 0x55;
        let mut out = storage.create(path).unwrap();
        out.append(&bytes).unwrap();
        out.finish().unwrap();
        let context = session();
        context.register_table("t", Arc::new(of_files(&storage, ReaderOptions::default()))).unwrap();
        let e = context.sql("select sum(id) from t").await.unwrap().collect().await.unwrap_err();
        let e = Error::from(e);
        assert_eq!(
            (e.kind(), e.place().file.as_deref(), e.place().column.as_deref()),
            ("corrupt", Some("memory:1.parquet"), Some("id"))
        );
        // The other files are whole, and the query knows that it needs no more.
        assert_eq!(rows(&context, "select id from t where id < 3").await, ["0", "1", "2"]);

        let small = Both::files(ReaderOptions::default().with_memory_bytes(100_000));
        let e = small.ours.sql("select * from t").await.unwrap().collect().await.unwrap_err();
        assert_eq!(Error::from(e).kind(), "limit");
        let e = small.ours.sql("select nothing from t").await.unwrap_err();
        assert!(matches!(e.find_root(), DataFusionError::SchemaError(..)), "{e}");
        assert_eq!(Error::from(e).kind(), "invalid");
    });
}

#[test]
fn files_of_different_schemas_are_read_under_the_first_one() {
    use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray};
    use hypostyle::parquet::write::FileWriter;

    let storage = Memory::new();
    let put = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let mut writer = FileWriter::new(storage.create(name).unwrap(), batch.schema(), data::options()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    };
    put("a", vec![("n", Arc::new(Int64Array::from(vec![1, 2]))), ("s", Arc::new(StringArray::from(vec!["x", "y"])))]);
    put("b", vec![("more", Arc::new(Int64Array::from(vec![0]))), ("n", Arc::new(Int32Array::from(vec![7])))]);
    runtime().block_on(async {
        let context = session();
        context.register_table("t", Arc::new(of_files(&storage, ReaderOptions::default()))).unwrap();
        assert_eq!(rows(&context, "select * from t").await, ["1|x", "2|y", "7|null"]);
        assert_eq!(rows(&context, "select n from t where s is null").await, ["7"]);
        assert_eq!(rows(&context, "select max(n), count(s), count(*) from t").await, ["7|2|3"]);
    });
    put("c", vec![("n", Arc::new(StringArray::from(vec!["x"])))]);
    let files = ["a", "c"].map(|name| storage.open(name).unwrap());
    let e = Provider::files(files, ReaderOptions::default()).unwrap_err();
    assert_eq!((e.place().file.as_deref(), e.place().column.as_deref()), (Some("memory:c"), Some("n")), "{e}");
    assert_eq!(Provider::files([], ReaderOptions::default()).unwrap_err().kind(), "invalid");
}

/// A condition of random parts.
fn condition() -> impl Strategy<Value = String> {
    let all: Vec<&str> = queries::CONDITIONS.iter().map(|(_, condition)| *condition).collect();
    let leaf = prop::sample::select(all).prop_map(|text| format!("({text})"));
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.clone().prop_map(|a| format!("(not {a})")),
            inner.clone().prop_map(|a| format!("({a} is not true)")),
            inner.prop_map(|a| format!("({a} is unknown)")),
        ]
    })
}

#[test]
fn any_condition_selects_the_rows_that_it_selects_in_memory() {
    let runtime = runtime();
    let (files, table) = (Both::files(ReaderOptions::default()), Both::table());
    proptest!(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }, |(condition in condition())| {
        runtime.block_on(async {
            let query = format!("select id, small from t where {condition}");
            files.same(&query).await;
            table.same(&query).await;
        });
    });
}
