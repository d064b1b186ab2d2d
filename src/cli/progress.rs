//! How far an ingest is, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar as Bar, ProgressStyle};

use super::cells::instant;
use super::quantities::{bytes, count};
use crate::ingest::Progress;

/// A line that moves at the bottom of the terminal; without a terminal, nothing.
pub(super) struct ProgressBar {
    bar: Option<Bar>,
}

impl ProgressBar {
    pub(super) fn new() -> ProgressBar {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = Bar::no_length();
            bar.set_style(style(false));
            bar
        });
        ProgressBar { bar }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        if let Some(total) = progress.source_bytes_total
            && bar.length() != Some(total)
        {
            bar.set_length(total);
            bar.set_style(style(true));
        }
        bar.set_position(progress.source_bytes);
        bar.set_message(message(progress));
    }

    /// Takes the line away again.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(length_known: bool) -> ProgressStyle {
    let template = if length_known { "{bar:20} {percent:>3}% {wide_msg}" } else { "{spinner} {wide_msg}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn message(progress: &Progress) -> String {
    let rate = progress.records as f64 / progress.seconds.max(1e-9);
    let mut text = format!(
        "{} records, {}/s, {}, {} open windows",
        count(progress.records),
        count(rate as u64),
        bytes(progress.text_bytes),
        progress.open_windows
    );
    if let Some(us) = progress.watermark_us {
        text.push_str(", at ");
        // Whole seconds are enough here.
        instant(us.div_euclid(1_000_000), arrow_schema::TimeUnit::Second, true, &mut text);
    }
    if progress.dead_lettered > 0 {
        text.push_str(&format!(", {} bad", count(progress.dead_lettered)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_matters() {
        let progress = Progress {
            records: 12_345,
            text_bytes: 3 << 20,
            open_windows: 3,
            watermark_us: Some(1_357_017_300_500_000),
            seconds: 2.0,
            dead_lettered: 1,
            ..Progress::default()
        };
        assert_eq!(
            message(&progress),
            "12,345 records, 6,172/s, 3.0 MiB, 3 open windows, at 2013-01-01T05:15:00Z, 1 bad"
        );
    }
}
