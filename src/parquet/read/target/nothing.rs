//! Columns of nothing but nulls (UNKNOWN): only their rows are counted.

use std::sync::Arc;

use arrow_array::{ArrayRef, NullArray};
use arrow_buffer::NullBuffer;
use arrow_buffer::builder::BooleanBufferBuilder;

use super::{Layout, Target};
use crate::error::Result;
use crate::parquet::read::page::{PageBytes, Values};

#[derive(Debug)]
struct Nothing {
    rows: usize,
}

pub(super) fn new() -> Box<dyn Target> {
    Box::new(Nothing { rows: 0 })
}

impl Target for Nothing {
    fn set_dictionary(&mut self, _: &mut PageBytes, _: usize, _: bool) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, _: &mut Values, count: usize) -> Result<()> {
        self.rows += count;
        Ok(())
    }

    fn read_spaced(&mut self, _: &mut Values, _: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.rows += mask.len();
        Ok(())
    }

    fn layout(&self) -> Layout {
        Layout::Nothing
    }

    fn finish(&mut self, _: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(Arc::new(NullArray::new(std::mem::take(&mut self.rows))))
    }
}
