//! What the processor can do beyond the baseline of its family, found out once, while the program runs: one build is
//! fast everywhere.
//!
//! `HYPOSTYLE_KERNELS=portable` in the environment turns all of it off, to compare or to rule it out.

/// Whether kernels for AVX2 may run.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn has_avx2() -> bool {
    use std::sync::LazyLock;

    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let is_portable = std::env::var_os("HYPOSTYLE_KERNELS").is_some_and(|v| v == "portable");
        !is_portable && std::arch::is_x86_feature_detected!("avx2")
    });
    *FOUND
}
