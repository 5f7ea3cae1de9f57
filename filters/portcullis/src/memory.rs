//! Memory for what the proxy returns: it asks the module for as much as it needs, and leaves that to
//! the module.
//!
//! Headers come with every request, so theirs is kept and used again.
#![allow(unsafe_code)]

use crate::host::{HostError, Result, ok};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::null_mut;

/// The most that is kept between two requests, in bytes.
const KEPT: usize = 64 * 1024;

thread_local! {
    static ARENA: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What the proxy asks for next is to be taken from the arena.
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// Gives the proxy memory, of at least one byte: `proxy_on_memory_allocate` of the finished module.
#[unsafe(no_mangle)]
extern "C" fn path_memory_allocate(size: usize) -> *mut u8 {
    if WANTED.take() {
        let mut arena = ARENA.take();
        arena.clear();
        arena.reserve(size);
        let data = arena.as_mut_ptr();
        ARENA.set(arena);
        return data;
    }
    ManuallyDrop::new(Vec::with_capacity(size)).as_mut_ptr()
}

/// Runs a call that returns bytes.
pub fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    ok(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: `data` was allocated by `path_memory_allocate`, with exactly this capacity, and the
    // proxy has filled it.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Runs a call that returns bytes, into memory that is used again.
pub fn in_arena(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Bytes> {
    let (mut data, mut size) = (null_mut(), 0);
    WANTED.set(true);
    let status = call(&raw mut data, &raw mut size);
    // Where nothing was asked for, nothing came.
    let came = !WANTED.take();
    ok(status)?;
    let mut arena = Bytes(ARENA.take());
    arena.0.clear();
    if came {
        if !std::ptr::eq(data, arena.0.as_ptr()) || size > arena.0.capacity() {
            return Err(HostError(u32::MAX));
        }
        // SAFETY: the proxy has filled so many bytes, and they lie within the capacity.
        unsafe { arena.0.set_len(size) };
    }
    Ok(arena)
}

/// Bytes from the arena, which they go back to.
pub struct Bytes(Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            ARENA.set(std::mem::take(&mut self.0));
        }
    }
}
