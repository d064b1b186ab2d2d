//! The scan, as a node of DataFusion's plans.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow_schema::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};

use super::source::{Part, Request, Rows, Source};
use super::statistics;

/// Batches of a part that wait to be taken, at most.
const BATCHES_AHEAD: usize = 2;

/// Reads a source, in parts.
#[derive(Debug, Clone)]
pub(super) struct ScanExec {
    source: Arc<Source>,
    request: Request,
    parts: Vec<Part>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Of all rows, before the predicate and the limit.
    statistics: Arc<OnceLock<Statistics>>,
}

impl ScanExec {
    pub(super) fn new(source: Arc<Source>, schema: SchemaRef, request: Request, parts: Vec<Part>) -> ScanExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // It waits for its threads, and lets others run then.
        .with_scheduling_type(SchedulingType::Cooperative);
        ScanExec {
            source,
            request,
            parts,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            statistics: Arc::default(),
        }
    }

    fn of_all(&self) -> DataFusionResult<Statistics> {
        if let Some(known) = self.statistics.get() {
            return Ok(known.clone());
        }
        let new = statistics::of_all(&self.source, self.properties.eq_properties.schema())?;
        Ok(self.statistics.get_or_init(|| new).clone())
    }

    /// Tells what a part that was read has read.
    fn measure(&self, rows: &Rows, part: usize) {
        let counts = rows.counts();
        let all = [
            ("files_read", rows.files_read()),
            ("row_groups_read", counts.row_groups_read),
            ("row_groups_skipped", counts.row_groups_skipped),
            ("pages_read", counts.pages_read),
            ("pages_skipped", counts.pages_skipped),
            ("bytes_read", counts.bytes_read),
        ];
        for (name, count) in all {
            let counter = MetricBuilder::new(&self.metrics).counter(name, part);
            counter.add(usize::try_from(count).unwrap_or(usize::MAX));
        }
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { columns, predicate, limit } = &self.request;
        let (between, start) = match form {
            DisplayFormatType::TreeRender => ("\n", ""),
            _ => (", ", "Hypostyle: "),
        };
        write!(
            f,
            "{start}source={}{between}parts={}{between}columns=[{}]",
            self.source.name(),
            self.parts.len(),
            columns.join(", ")
        )?;
        if let Some(predicate) = predicate {
            write!(f, "{between}predicate={predicate}")?;
        }
        if let Some(limit) = limit {
            write!(f, "{between}limit={limit}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "Hypostyle"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    /// Decoding happens on a thread of its own, no more than a few batches ahead; it ends when nobody wants more.
    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let Some(part) = self.parts.get(partition).cloned() else {
            return datafusion::common::internal_err!("there is no part {partition}: there are {}", self.parts.len());
        };
        let this = self.clone();
        let mut builder = RecordBatchReceiverStream::builder(self.schema(), BATCHES_AHEAD);
        let out = builder.tx();
        builder.spawn_blocking(move || {
            let baseline = BaselineMetrics::new(&this.metrics, partition);
            let mut rows = this.source.read(part, this.request.clone())?;
            loop {
                let batch = {
                    let _time = baseline.elapsed_compute().timer();
                    rows.next()
                };
                let Some(batch) = batch else { break };
                let batch = batch?;
                let batch = batch.record_output(&baseline);
                if out.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            this.measure(&rows, partition);
            Ok(())
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        let mut known = match args.partition() {
            None => self.of_all()?,
            Some(partition) => {
                let rows = self.parts.get(partition).and_then(|part| self.source.rows(part));
                statistics::of_part(self.properties.eq_properties.schema(), rows)
            }
        };
        let limit = self.request.limit.and_then(|limit| usize::try_from(limit).ok());
        if self.request.predicate.is_some() || limit.is_some() {
            known = known.to_inexact();
        }
        if let Some(limit) = limit {
            known.num_rows = known.num_rows.min(&Precision::Inexact(limit));
        }
        Ok(Arc::new(known))
    }
}
