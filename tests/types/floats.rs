//! Floats by value and by IEEE 754 total order.

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::DataType;
use bytes::Bytes;
use hypostyle::parquet::format::{ColumnOrder, Empty};
use hypostyle::parquet::read::{ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FloatOrder, WriterOptions};
use hypostyle::predicate::{Predicate, col};

use super::file::*;

/// Rows that a predicate keeps, by their text.
fn kept(bytes: &Bytes, predicate: Predicate) -> Vec<String> {
    let batch =
        scan(bytes, ReaderOptions::default(), ScanOptions::default().with_predicate(predicate).with_columns(["id"]));
    let batch = batch.unwrap();
    let ids = batch.column(0).as_any().downcast_ref::<Int32Array>().unwrap();
    ids.iter().map(|id| format!("{id:?}")).collect()
}

#[test]
fn floats_of_either_order_are_never_wrongly_dropped() {
    let (nan, low_nan) = (f64::from_bits(0x7ff8_0000_0000_0001), f64::from_bits(0xfff8_0000_0000_0000));
    // Pages of 4: numbers, zeros, numbers with NaN, NaN of both signs alone, nothing.
    let values = [
        [Some(1.0), Some(-3.0), None, Some(7.5)],
        [Some(0.0), Some(-0.0), Some(-0.0), None],
        [Some(nan), Some(100.0), Some(101.0), None],
        [Some(low_nan), None, Some(nan), Some(nan)],
        [None; 4],
        [Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(f64::MIN_POSITIVE), None],
    ];
    let values: Vec<Option<f64>> = values.concat();
    let doubles: ArrayRef = Arc::new(Float64Array::from(values.clone()));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int32Array::from_iter_values(0..values.len() as i32)) as ArrayRef, false),
        ("x", doubles.clone(), true),
        ("f", arrow_cast::cast(&doubles, &DataType::Float32).unwrap(), true),
        ("h", arrow_cast::cast(&doubles, &DataType::Float16).unwrap(), true),
    ])
    .unwrap();
    let base = || WriterOptions::default().with_page_rows(4).with_dictionary(false);
    let (oracle, _) = write(&batch, WriterOptions { statistics: false, ..base() });
    for order in [FloatOrder::Value, FloatOrder::Total] {
        let (bytes, written) = write(&batch, base().with_float_order(order));
        let metadata = &written.metadata;
        let want = match order {
            FloatOrder::Value => ColumnOrder::TypeOrder(Empty {}),
            FloatOrder::Total => ColumnOrder::Ieee754TotalOrder(Empty {}),
        };
        let type_order = ColumnOrder::TypeOrder(Empty {});
        assert_eq!(metadata.column_orders, Some(vec![type_order, want.clone(), want.clone(), want]));
        let reader = open(&bytes, ReaderOptions::default()).unwrap();
        for column in 1..4 {
            let statistics = metadata.row_groups[0].columns[column].meta_data.clone().unwrap().statistics.unwrap();
            assert_eq!((statistics.nan_count, statistics.null_count), (Some(4), Some(9)));
            assert_eq!(
                statistics.max_value.is_some(),
                order == FloatOrder::Total,
                "NaN leave bounds out by value only"
            );
            let index = reader.column_index(0, column).unwrap();
            assert_eq!(index.is_some(), order == FloatOrder::Total);
            if let Some(index) = index {
                assert_eq!(index.nan_counts, Some(vec![0, 0, 1, 3, 0, 0]));
                assert_eq!(index.null_pages, [false, false, false, false, true, false]);
            }
        }
        if order == FloatOrder::Total {
            let index = reader.column_index(0, 1).unwrap().unwrap();
            let bits = |v: &Vec<u8>| u64::from_le_bytes(v[..].try_into().unwrap());
            assert_eq!(bits(&index.min_values[1]), (-0f64).to_bits());
            assert_eq!(bits(&index.max_values[1]), 0f64.to_bits());
            assert_eq!((bits(&index.min_values[2]), bits(&index.max_values[2])), (100f64.to_bits(), 101f64.to_bits()));
            assert_eq!((bits(&index.min_values[3]), bits(&index.max_values[3])), (low_nan.to_bits(), nan.to_bits()));
            let statistics = metadata.row_groups[0].columns[1].meta_data.clone().unwrap().statistics.unwrap();
            assert_eq!(bits(&statistics.min_value.unwrap()), f64::NEG_INFINITY.to_bits());
            assert_eq!(bits(&statistics.max_value.unwrap()), f64::INFINITY.to_bits());
        }
        for column in ["x", "f", "h"] {
            for literal in [-3.0, -0.0, 0.0, 7.5, 100.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                for predicate in [
                    col(column).lt(literal),
                    col(column).le(literal),
                    col(column).gt(literal),
                    col(column).ge(literal),
                    col(column).eq(literal),
                    col(column).ne(literal),
                ] {
                    assert_eq!(
                        kept(&bytes, predicate.clone()),
                        kept(&oracle, predicate.clone()),
                        "{predicate} {order:?}"
                    );
                }
            }
        }
        if order == FloatOrder::Total {
            let mut scan = reader.scan(ScanOptions::default().with_predicate(col("x").gt(1000.0))).unwrap();
            scan.by_ref().for_each(|b| assert!(b.unwrap().num_rows() > 0));
            assert!(scan.counts().pages_skipped > 0, "bounds are used beside NaN: {:?}", scan.counts());
        }
    }
}
