//! Memory that an input takes.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Does some work that may take `base` bytes and so many more for each byte of input.
///
/// # Panics
/// It takes more.
pub fn bounded<T>(base: usize, input: usize, for_each: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    let used = MEMORY.peak_usage().saturating_sub(before);
    let allowed = base + input * for_each;
    assert!(used <= allowed, "{used} bytes of memory for {input} bytes; {allowed} are allowed");
    result
}
