//! Rows and columns picked out of batches that come whole.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;

use super::{Batches, Request};
use crate::error::{Error, Result};
use crate::predicate::BoundPredicate;

/// Batches, without the rows and columns that were not asked for.
pub(super) struct Selected {
    source: Batches,
    schema: SchemaRef,
    predicate: Option<BoundPredicate>,
    projection: Option<Vec<usize>>,
    /// Rows still to pass over.
    skip: u64,
    left: u64,
}

impl Selected {
    pub(super) fn new(source: Batches, request: &Request) -> Result<Selected> {
        request.split.of_others()?;
        if request.order.is_some() || request.row_numbers.is_some() {
            return Err(Error::invalid("--order-by and --row-numbers are about Parquet"));
        }
        let predicate = request.predicate.as_ref().map(|p| p.bind(&source.schema)).transpose()?;
        let projection = match &request.columns {
            Some(columns) => {
                Some(columns.iter().map(|name| place_of(name, &source.schema)).collect::<Result<Vec<_>>>()?)
            }
            None => None,
        };
        let schema = match &projection {
            Some(places) => Arc::new(source.schema.project(places)?),
            None => Arc::clone(&source.schema),
        };
        let (skip, left) = (request.offset, request.limit.unwrap_or(u64::MAX));
        Ok(Selected { source, schema, predicate, projection, skip, left })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn select(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let mut batch = match &self.predicate {
            Some(predicate) => filter_record_batch(&batch, &predicate.evaluate(&batch)?)?,
            None => batch,
        };
        if let Some(places) = &self.projection {
            batch = batch.project(places)?;
        }
        let first = batch.num_rows().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        let rows = (batch.num_rows() - first).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.skip -= first as u64;
        self.left -= rows as u64;
        Ok(if rows < batch.num_rows() { batch.slice(first, rows) } else { batch })
    }
}

impl Iterator for Selected {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        while self.left > 0 {
            let selected = self.source.batches.next()?.and_then(|batch| self.select(batch));
            match selected {
                Ok(batch) if batch.num_rows() == 0 => {}
                other => return Some(other),
            }
        }
        None
    }
}

fn place_of(name: &str, schema: &SchemaRef) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        Error::invalid(format!("there is no column {name}; those there are {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::predicate::col;

    fn selected(request: Request) -> Result<Vec<i64>> {
        let batch = |values: std::ops::Range<i64>| {
            let (a, b): (ArrayRef, ArrayRef) = (
                Arc::new(Int64Array::from_iter_values(values.clone())),
                Arc::new(Int64Array::from_iter_values(values.map(|n| -n))),
            );
            RecordBatch::try_from_iter([("a", a), ("b", b)])
        };
        let all = vec![batch(0..10)?, batch(10..10)?, batch(10..20)?];
        let source = Batches { schema: all[0].schema(), batches: Box::new(all.into_iter().map(Ok)) };
        let rows = Selected::new(source, &request)?;
        let mut values = Vec::new();
        for batch in rows {
            values.extend_from_slice(batch?.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(values)
    }

    #[test]
    fn rows_columns_and_limit() {
        assert_eq!(selected(Request::default()).unwrap().len(), 20);
        let request = Request { predicate: Some(col("a").gt(7)), limit: Some(4), ..Request::default() };
        assert_eq!(selected(request).unwrap(), [8, 9, 10, 11]);
        let request =
            Request { columns: Some(vec!["b".into()]), predicate: Some(col("a").gt(17)), ..Request::default() };
        assert_eq!(selected(request).unwrap(), [-18, -19]);
        let request = Request { offset: 8, limit: Some(4), ..Request::default() };
        assert_eq!(selected(request).unwrap(), [8, 9, 10, 11]);
        assert_eq!(selected(Request { limit: Some(0), ..Request::default() }).unwrap(), [0i64; 0]);
    }

    #[test]
    fn columns_that_are_not_there_are_named() {
        let request = Request { columns: Some(vec!["c".into()]), ..Request::default() };
        assert_eq!(selected(request).unwrap_err().to_string(), "there is no column c; those there are a, b");
    }
}
