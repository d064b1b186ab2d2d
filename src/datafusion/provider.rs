//! Files or a table, as DataFusion's table.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::exec::ScanExec;
use super::filter::Filter;
use super::source::{Request, Source};
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions};
use crate::predicate::Predicate;
use crate::storage::Input;
use crate::table::Table;

/// Parquet files or a table, to be registered with DataFusion.
///
/// Filters are evaluated by the scan where they are comparisons of columns (or of fields of structs) with constants of
/// their type or with one another, `between`, `in`, `is [not] null`, `like` and `starts_with`, and `and`, `or`, `not` and
/// `is [not] true` of these. DataFusion filters again after order comparisons of floats (which it orders differently: -0.0
/// before 0.0, and NaN by its sign) and after `array_has`; and alone what else there is.
#[derive(Debug)]
pub struct Provider {
    source: Arc<Source>,
    schema: SchemaRef,
}

impl Provider {
    /// Parquet files, opened with the same options, as one table. They are read under the schema of the first: columns
    /// that another one lacks are NULL, and narrower ones are widened.
    ///
    /// # Errors
    /// Those of [`FileReader::open`]; [`Error::Invalid`] for no file, for a file that does not fit the first one's schema
    /// and for two columns of one name.
    pub fn files(inputs: impl IntoIterator<Item = Arc<dyn Input>>, options: ReaderOptions) -> Result<Provider> {
        let open = |input| FileReader::open(input, options.clone());
        let files = inputs.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            return Err(Error::invalid("no file is given: its schema would not be known"));
        }
        let source = Source::Files(files, options);
        if let Source::Files(files, _) = &source {
            for (number, file) in files.iter().enumerate() {
                // Nothing is fetched by this, and an error is better had before a query.
                file.scan(source.options(number))?;
            }
        }
        Provider::new(source)
    }

    /// A table at the version last read, its files opened with these options.
    pub fn table(table: Table, options: ReaderOptions) -> Result<Provider> {
        Provider::new(Source::Table(Box::new(table), options))
    }

    fn new(source: Source) -> Result<Provider> {
        let schema = source.schema();
        let mut names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        names.sort_unstable();
        if let Some(name) = names.windows(2).find_map(|pair| pair.first().filter(|name| pair.last() == Some(name))) {
            let message = format!("column {name} is there more than once: it cannot be named");
            return Err(Error::invalid(message).in_file(source.name()));
        }
        Ok(Provider { source: Arc::new(source), schema })
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |expr: &&Expr| match Filter::new(expr, &self.schema) {
            Some(Filter { is_exact: true, .. }) => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let filters: Vec<Filter> = filters.iter().filter_map(|expr| Filter::new(expr, &self.schema)).collect();
        let is_exact = filters.iter().all(|filter| filter.is_exact);
        let predicate = (!filters.is_empty()).then(|| Predicate::all(filters.into_iter().map(|f| f.predicate)));
        let request = Request {
            columns: schema.fields().iter().map(|field| field.name().clone()).collect(),
            predicate,
            limit: limit.filter(|_| is_exact).map(|rows| rows as u64),
        };
        let parts = self.source.parts(state.config().target_partitions())?;
        Ok(Arc::new(ScanExec::new(Arc::clone(&self.source), schema, request, parts)))
    }
}
