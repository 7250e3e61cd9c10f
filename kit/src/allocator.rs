//! The memory allocator of all programs.
//!
//! Commands, replies and rows are many small, short-lived allocations, made on one thread and freed on another. An eighth
//! of the processor time of an order went into the C library's allocator, which serves that pattern worst (ADR 32).

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
