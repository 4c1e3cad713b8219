//! An allocator that counts, per thread: how many allocations, and how many bytes are live.
//!
//! A program that measures makes it its own: `#[global_allocator] static ALLOCATOR: Counting = Counting;`

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator, counting.
#[derive(Debug)]
pub struct Counting;

/// What this thread has done so far.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Calls that asked for memory; growing in place is one too.
    pub allocations: u64,
    /// Bytes asked for and not given back.
    pub live_bytes: i64,
}

thread_local! {
    // Per thread, so that counting costs no locked instruction and other threads do not disturb it. Without a
    // destructor and with a constant start: reading it never allocates.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, live_bytes: 0 }) };
}

/// What this thread has done so far; differences are what counts.
#[must_use]
pub fn counts() -> Counts {
    COUNTS.get()
}

/// How many allocations `work` makes on this thread.
pub fn allocations_of<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = counts().allocations;
    let result = work();
    (counts().allocations - before, result)
}

fn count(allocations: u64, bytes: i64) {
    let now = COUNTS.get();
    COUNTS.set(Counts { allocations: now.allocations + allocations, live_bytes: now.live_bytes + bytes });
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// The trait of allocators is unsafe to implement and to call. Every call is handed to the system's allocator as it came,
// so that its contract is the caller's.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, size(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, size(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, size(new_size) - size(layout.size()));
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -size(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}
