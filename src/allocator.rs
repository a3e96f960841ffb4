//! The program's allocator, and how it gives memory back. Of the program alone: the library leaves the choice to whoever
//! embeds it.

#![allow(unsafe_code, reason = "the allocator's options have no safe interface")]

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3: milliseconds for which freed memory is kept before it goes back to the
/// system. The bindings have no name for it.
const PURGE_DELAY: mi_option_t = 15;

/// Has freed memory go back at once: kept, it is only looked at again when more is freed, and after a storm of
/// connections nothing is. `MIMALLOC_PURGE_DELAY` in the environment counts for more.
pub(crate) fn purge_at_once() {
    // SAFETY: the call writes one number of a table that is as long as this option's index and more. It is not for
    // several threads at a time, and `main` makes it before it starts any.
    unsafe { mi_option_set_default(PURGE_DELAY, 0) };
}
