//! Ctrl-C (and the other polite ways to end a program): the first asks the work to end at a sound place, the second ends
//! the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a shell expects of a program that Ctrl-C has ended.
pub(super) const EXIT_CODE: u8 = 130;

/// From now on the program is told, not killed. Without signals to handle (a strange system), it is killed as ever.
pub(super) fn install() {
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    });
}

/// Set by the first Ctrl-C.
pub(super) fn flag() -> &'static AtomicBool {
    &INTERRUPTED
}

/// Whether to end.
pub(super) fn is_set() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
