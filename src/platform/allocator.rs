//! How the C library treats freed memory.
#![allow(unsafe_code)]

/// Makes the process keep up to 512 MiB of freed memory. Otherwise it returns memory to the system and fetches it again, page by page,
/// for every image, including feature maps of up to 128 MiB each. Where glibc refuses (old ones take no more than 32 MiB), nothing
/// changes.
#[cfg(target_env = "gnu")]
pub fn keep_freed_memory() {
    use std::ffi::c_int;
    unsafe extern "C" {
        /// From glibc. It checks both numbers, which are plain values, and locks what it changes.
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    // The numbers of malloc.h. The second alone would take all larger blocks straight from the kernel.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;
    if mallopt(M_MMAP_THRESHOLD, 128 << 20) == 1 {
        mallopt(M_TRIM_THRESHOLD, 512 << 20);
    }
}

/// Gives all freed memory back to the system, once; memory freed later is kept again. The next image must fetch its memory again, so use
/// this only after rare work that takes memory in odd sizes and leaves it in pieces.
#[cfg(target_env = "gnu")]
pub fn give_back_freed_memory() {
    unsafe extern "C" {
        /// From glibc. It locks each heap while it looks for free pages in it.
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // The result says whether there were any.
    let _ = malloc_trim(0);
}

/// The allocators of other C libraries are not changed.
#[cfg(not(target_env = "gnu"))]
pub fn keep_freed_memory() {}

/// See [`keep_freed_memory`].
#[cfg(not(target_env = "gnu"))]
pub fn give_back_freed_memory() {}
