//! What the processor can do beyond the baseline of its family, found out once, while the program runs: one build is
//! fast everywhere. Of 64-bit ARM nothing beyond it is used, but what the compiler does not make of plain code.
//!
//! `HYPOSTYLE_KERNELS=portable` in the environment turns all of it off, `HYPOSTYLE_KERNELS=avx2` what is wider than that, to
//! compare or to rule it out.

use std::sync::LazyLock;

/// Whether kernels for AVX2 may run.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn has_avx2() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let asked = std::env::var_os("HYPOSTYLE_KERNELS");
        asked.is_none_or(|v| v != "portable") && std::arch::is_x86_feature_detected!("avx2")
    });
    *FOUND
}

/// Whether kernels for AVX-512 with permutations of bytes may run: Ice Lake, Zen 4 and later.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn has_avx512() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let asked = std::env::var_os("HYPOSTYLE_KERNELS");
        asked.is_none_or(|v| v != "portable" && v != "avx2")
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vbmi")
    });
    *FOUND
}

/// Whether kernels for NEON may run. Each processor has it; what is asked is whether they are wanted, and whether bytes
/// are ordered as they take them to be.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) fn has_neon() -> bool {
    static WANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("HYPOSTYLE_KERNELS").is_none_or(|asked| asked != "portable"));
    cfg!(target_endian = "little") && *WANTED
}
